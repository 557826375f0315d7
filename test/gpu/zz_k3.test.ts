import { it } from 'vitest';
import { openDevice } from '../../src/gpu/device.ts';
import { specialize } from '../../src/gpu/shader.ts';
import { SHADER_LIBRARY } from '../../src/gpu/shader_library.ts';
import { openTestGpu, TEST_ADAPTERS } from '../support/adapters.ts';
import { readShaders } from '../support/shader_files.ts';
it('x', async () => {
  const device = await openDevice(await openTestGpu(TEST_ADAPTERS[0]!) as GPU, {});
  const time = async (name: string, slots: any) => {
    const code = specialize(name, readShaders()[name]!, slots, SHADER_LIBRARY);
    const c = process.cpuUsage();
    const module = device.gpu.createShaderModule({ code });
    await device.gpu.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    const u = process.cpuUsage(c);
    console.log('TIME', name, JSON.stringify(slots), (u.user + u.system) / 1e3 | 0);
  };
  const salt = Math.random();
  await time('attention_tile', { HEADS: 2, HEAD_DIM: 6, ROWS: 128, PARTS: 1, SCALE: salt });
  await time('attention_tile', { HEADS: 2, HEAD_DIM: 64, ROWS: 64, PARTS: 2, SCALE: salt });
  await time('attention_tile', { HEADS: 2, HEAD_DIM: 128, ROWS: 32, PARTS: 4, SCALE: salt });
  await time('disentangled_tile', { HEADS: 2, HEAD_DIM: 6, ROWS: 128, PARTS: 1, KEYS: 8, SLICE: 2, SCALE: salt });
  await time('disentangled_tile', { HEADS: 2, HEAD_DIM: 64, ROWS: 64, PARTS: 2, KEYS: 16, SLICE: 4, SCALE: salt });
  await time('disentangled_tile', { HEADS: 2, HEAD_DIM: 128, ROWS: 32, PARTS: 4, KEYS: 16, SLICE: 8, SCALE: salt });
  await time('disentangled_tile', { HEADS: 2, HEAD_DIM: 128, ROWS: 32, PARTS: 4, KEYS: 16, SLICE: 4, SCALE: salt });
}, 120000);
