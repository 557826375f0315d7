import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { openGpu } from '../../src/node/gpu.ts';
import { openTestGpu, TEST_ADAPTERS } from '../support/adapters.ts';

const NAMES = { lavapipe: /llvmpipe/, swiftshader: /swiftshader/, default: /./, null: /^$/ };

/** Leaves long work in flight, and a buffer waiting to be mapped, when the module ends. */
const BUSY = /* js */ `
  const { withTypeScript } = await import('./scripts/lib/import_typescript.js');
  const { openGpu } = await withTypeScript('src/node/gpu.ts', async (module) => {
    await module.openGpu('null');
    return module;
  });
  const adapter = await (await openGpu(process.argv[1])).requestAdapter();
  const device = await adapter.requestDevice();
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const buffer = device.createBuffer({ size: 65536, usage: STORAGE | COPY_SRC });
  const result = device.createBuffer({ size: 65536, usage: MAP_READ | COPY_DST });
  const code = \`
    @group(0) @binding(0) var<storage, read_write> x: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      var sum = 0f;
      for (var i = 0u; i < 40000u; i++) { sum += sin(f32(i + id.x)); }
      x[id.x] = sum;
    }\`;
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code }) },
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const layout = pipeline.getBindGroupLayout(0);
  pass.setBindGroup(0, device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }] }));
  pass.dispatchWorkgroups(256);
  pass.end();
  encoder.copyBufferToBuffer(buffer, 0, result, 0, 65536);
  device.queue.submit([encoder.finish()]);
  result.mapAsync(GPUMapMode.READ).then(
    () => console.log('mapped'),
    () => console.log('mapping ended'),
  );
  process.exitCode = 7;
`;

function runNode(script: string, args: readonly string[], env: NodeJS.ProcessEnv): string {
  const { status, signal, stdout } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', script, ...args],
    { encoding: 'utf8', env: { ...process.env, ...env } },
  );
  return `${signal ?? status} ${stdout}`.trim();
}

describe.each(TEST_ADAPTERS)('openGpu: %s', (name) => {
  it('opens the adapter that was asked for', async (context) => {
    const gpu = await openTestGpu(name);
    if (typeof gpu === 'string') return context.skip(gpu);
    const adapter = await gpu.requestAdapter();
    expect(adapter?.info.device).toMatch(NAMES[name]);
    expect(await openGpu(name)).toBe(gpu);
  });

  it('lets the process end while the adapter works', async (context) => {
    const gpu = await openTestGpu(name);
    if (typeof gpu === 'string') return context.skip(gpu);
    expect(runNode(BUSY, [name], {})).toMatch(/^7 (mapped|mapping ended)$/);
  });
});

describe('openGpu', () => {
  it('compiles shaders without a GPU', async () => {
    const adapter = await (await openGpu('null')).requestAdapter();
    const device = await adapter?.requestDevice();
    device?.pushErrorScope('validation');
    const module = device?.createShaderModule({ code: 'fn f() { let x: u32 = 1.5; }' });
    const info = await module?.getCompilationInfo();
    expect(info?.messages.map(({ type, lineNum }) => [type, lineNum])).toEqual([['error', 1]]);
    expect(await device?.popErrorScope()).not.toBeNull();
  });

  it.runIf(process.platform === 'linux')('names what is missing and how to get it', () => {
    const script = /* js */ `
      const { withTypeScript } = await import('./scripts/lib/import_typescript.js');
      await withTypeScript('src/node/gpu.ts', ({ openGpu }) => openGpu('lavapipe')).catch((error) => {
        console.log(error.name, error.message);
      });`;
    const line = runNode(script, [], { VK_DRIVER_FILES: '/nowhere.json' });
    expect(line).toMatch(/^0 NoWebGpuError node: no WebGPU adapter for "lavapipe": found/);
    expect(line).toContain('apt install libvulkan1 mesa-vulkan-drivers');
  });
});
