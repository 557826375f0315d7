import { it } from 'vitest';
import { openTestGpu } from '../support/adapters.ts';
import { openDevice } from '../../src/gpu/device.ts';
import pickSource from '../../shaders/sample_pick.wgsl?raw';
import scanSource from '../../shaders/sample_scan.wgsl?raw';
import lpSource from '../../shaders/sample_logprobs.wgsl?raw';
it('t', async () => {
  for (const a of ['lavapipe','swiftshader'] as const) {
  const gpu = await openTestGpu(a); if (typeof gpu==='string') throw new Error(gpu);
  for (const opt of [{}, {without:['subgroups'] as const}]) {
    const device = await openDevice(gpu, opt);
    const S={VOCAB:4097,CHUNK:2048,WORKGROUP:256,REDUCE: device.facts.hasSubgroups?'lib/reduce_subgroup.wgsl':'lib/reduce_tree.wgsl'};
    for (const [name, source, bindings] of [
      ['scan',scanSource,{a:'read',b:'read',c:'read',d:'read',e:'read',f:'write',g:'write'}],
      ['lp',lpSource,{a:'read',b:'read',c:'read',d:'update'}],
      ['pick',pickSource,{a:'read',b:'read',c:'read',d:'write',e:'write',f:'write'}]] as const) {
      const t=performance.now();
      const e = device.pipelines.get({name,source,bindings}, S); const pipe = await e.ready;
      const t1=performance.now();
      const bg = device.gpu.createBindGroup({layout:e.layout, entries: Object.keys(bindings).map((_,i)=>({binding:i,resource:{buffer:device.gpu.createBuffer({size:4097*64,usage:GPUBufferUsage.STORAGE})}}))});
      const go = async () => { const en=device.gpu.createCommandEncoder(); const pa=en.beginComputePass(); pa.setPipeline(pipe); pa.setBindGroup(0,bg); pa.dispatchWorkgroups(1); pa.end(); device.gpu.queue.submit([en.finish()]); await device.gpu.queue.onSubmittedWorkDone(); };
      await go(); const t2=performance.now(); await go(); const t3=performance.now();
      console.log(a, S.REDUCE, name, 'pipeline', Math.round(t1-t), 'first', Math.round(t2-t1), 'second', Math.round(t3-t2));
    }
    device.dispose();
  }}
}, 300000);
