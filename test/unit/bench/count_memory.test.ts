import { expect, it } from 'vitest';
import { GpuMemory } from '../../../src/bench/count_memory.ts';

class FakeBuffer {
  readonly size: number;
  constructor(size: number) {
    this.size = size;
  }
  destroy(): void {}
}

class FakeDevice {
  createBuffer({ size }: { readonly size: number }): FakeBuffer {
    return new FakeBuffer(size);
  }
  destroy(): void {}
}

it('counts what is alive, on all devices', () => {
  const memory = new GpuMemory();
  const [a, b] = [new FakeDevice(), new FakeDevice()];
  memory.watch(a);
  memory.watch(b);
  const first = a.createBuffer({ size: 100 });
  b.createBuffer({ size: 30 });
  expect([memory.bytes, memory.devices]).toEqual([130, 2]);
  first.destroy();
  first.destroy();
  a.createBuffer({ size: 20 });
  expect(memory.bytes).toBe(50);
  expect(memory.takePeak()).toBe(130);
  expect(memory.takePeak()).toBe(50);
  b.destroy();
  expect([memory.bytes, memory.devices]).toEqual([20, 1]);
  a.destroy();
  a.destroy();
  expect([memory.bytes, memory.devices]).toEqual([0, 0]);
});
