import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import { defineKernel, groupsOf } from '../../src/gpu/kernel.ts';
import { readBuffer, ReadbackRing } from '../../src/gpu/readback.ts';
import { Recorder } from '../../src/gpu/recorder.ts';
import { SHADER_LIBRARY } from '../../src/gpu/shader_library.ts';
import { StateBuffer } from '../../src/gpu/state_buffer.ts';
import type { DeviceTensor, Tensor } from '../../src/gpu/tensor.ts';
import { PassTimer } from '../../src/gpu/timing.ts';
import { matmul } from '../../src/kernels/matmul.ts';
import { rmsNorm } from '../../src/kernels/rms_norm.ts';
import {
  DeviceLimitError,
  GpuValidationError,
  ShaderError,
  ShapeError,
} from '../../src/util/errors.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { countsOf, random, runOp, upload } from '../support/run_op.ts';
import { uploadMatrix } from '../support/weights.ts';

/** y[i] = 3 a[i mod A] + b[i mod B] in u32. */
const combine = defineKernel({
  name: 'combine',
  source: `
const SIZE: u32 = 1u;
const A: u32 = 1u;
const B: u32 = 1u;
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < SIZE) {
    y[id.x] = 3u * a[id.x % A] + b[id.x % B];
  }
}`,
  bindings: { a: 'read', b: 'read', y: 'write' },
});

/** x[i] = 5 x[i] + 1 in u32, in place. */
const bump = defineKernel({
  name: 'bump',
  source: `
const SIZE: u32 = 1u;
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < SIZE) {
    x[id.x] = 5u * x[id.x] + 1u;
  }
}`,
  bindings: { x: 'update' },
});

function sizeOfRows(tensor: DeviceTensor): number {
  return tensor.sizeBytes / 4;
}

function combined(r: Recorder, a: Tensor, b: Tensor, size: number): Tensor {
  const y = r.scratch('u32', [size]);
  r.dispatch(combine, {
    slots: { SIZE: size, A: sizeOfRows(a), B: sizeOfRows(b) },
    bindings: { a, b, y },
    grid: [groupsOf(size, 64)],
  });
  return y;
}

function createRecorder(device: Device): Recorder {
  const { counts } = new StateBuffer(device, { counts: { dtype: 'u32', shape: [8] } }).regions;
  return new Recorder(device, counts.tensor);
}

function input(r: Recorder, ...values: readonly number[]): Tensor {
  return r.tensor(upload(r.device, 'u32', [values.length], Uint32Array.from(values)));
}

describeOnAdapters('shaders', (open) => {
  const broken = {
    name: 'broken',
    bindings: { y: 'write' },
    source: `// A comment.
@group(0) @binding(0) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(1)
fn main() {
  y[0] = missing;
}
`,
  } as const;

  it('that do not compile are named with file, line and column', async () => {
    const device = await open();
    const { ready } = device.pipelines.get(broken, {});
    await expect(ready).rejects.toThrow(ShaderError);
    await expect(ready).rejects.toThrow(/^broken\.wgsl:6:10: .*missing/);
  });

  it('that fail in an included file are named with that file', async () => {
    const device = await open();
    const twice = {
      ...broken,
      source: `//!include lib/counts.wgsl\nfn count() {}\nfn main() {}`,
    };
    const lines = SHADER_LIBRARY['lib/counts.wgsl']?.split('\n') ?? [];
    const line = lines.findIndex((text) => text.startsWith('fn count(')) + 1;
    await expect(device.pipelines.get(twice, {}).ready).rejects.toThrow(
      new RegExp(`^lib/counts\\.wgsl:${line}:\\d+: .*count`),
    );
  });

  it('leave the device usable', async () => {
    const device = await open();
    const recorder = createRecorder(device);
    recorder.dispatch(broken, {
      slots: {},
      bindings: { y: recorder.scratch('f32', [1]) },
      grid: [1],
    });
    await expect(recorder.finish()).rejects.toThrow(ShaderError);
    await device.settled();
    expect(device.failure).toBeUndefined();
    const { y } = await runOp(device, {}, (r) => ({ y: combined(r, input(r, 2), input(r, 1), 1) }));
    expect([...y.u32]).toEqual([7]);
  });

  it('are compiled once per text', async () => {
    const device = await open();
    const slots = { SIZE: 1234 };
    const first = device.pipelines.get(bump, slots);
    const { size } = device.pipelines;
    expect(device.pipelines.get(bump, { ...slots })).toBe(first);
    expect(device.pipelines.size).toBe(size);
    expect(device.pipelines.get(bump, { SIZE: 1235 })).not.toBe(first);
    expect(device.pipelines.size).toBe(size + 1);
    await first.ready;
  });
});

/** A value made of two earlier ones, or an earlier one changed in place. */
type Node =
  | { readonly kind: 'combine'; readonly a: number; readonly b: number; readonly size: number }
  | { readonly kind: 'bump'; readonly x: number };

const node: fc.Arbitrary<Node> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('combine' as const),
      a: fc.nat(),
      b: fc.nat(),
      size: fc.constantFrom(3, 200),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('bump' as const), x: fc.nat() }) },
);

/** What the nodes compute, in the order of their making. */
function evaluate(inputs: readonly Uint32Array[], nodes: readonly Node[]): readonly Uint32Array[] {
  const values = [...inputs];
  const at = (i: number): Uint32Array => values[i % values.length] ?? new Uint32Array();
  for (const made of nodes) {
    if (made.kind === 'bump') at(made.x).forEach((v, i, x) => (x[i] = 5 * v + 1));
    else {
      const [a, b] = [at(made.a), at(made.b)];
      const sum = (i: number): number => 3 * (a[i % a.length] ?? 0) + (b[i % b.length] ?? 0);
      values.push(Uint32Array.from({ length: made.size }, (_, i) => sum(i)));
    }
  }
  return values;
}

describeOnAdapters('recorder', (open) => {
  it('keeps every value for as long as it is needed, whatever memory it reuses', async () => {
    const device = await open();
    const graph = fc.record({
      nodes: fc.array(node, { minLength: 1, maxLength: 40 }),
      kept: fc.array(fc.nat(), { maxLength: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(graph, async ({ nodes, kept }) => {
        const inputs = [Uint32Array.of(1, 2, 3), Uint32Array.from({ length: 200 }, (_, i) => i)];
        const results = await runOp(device, {}, (r) => {
          const values = inputs.map((words) => input(r, ...words));
          const at = (i: number): Tensor => values[i % values.length] ?? input(r);
          for (const made of nodes) {
            if (made.kind === 'combine') {
              values.push(combined(r, at(made.a), at(made.b), made.size));
            } else {
              const x = at(made.x);
              const slots = { SIZE: sizeOfRows(x) };
              r.dispatch(bump, { slots, bindings: { x }, grid: [groupsOf(slots.SIZE, 64)] });
            }
          }
          const chosen = [...kept, values.length - 1].map((i) => i % values.length);
          return Object.fromEntries(chosen.map((i) => [`${i}`, at(i)]));
        });
        const expected = evaluate(inputs, nodes);
        for (const [i, { u32 }] of Object.entries(results)) {
          expect([...u32]).toEqual([...(expected[Number(i)] ?? [])]);
        }
      }),
      { numRuns: 15 },
    );
  });

  it('runs only dispatches whose grid is not empty', async () => {
    const device = await open();
    const r = createRecorder(device);
    const x = input(r, 0, 0);
    const samples = { count: 'samples', capacity: 4 } as const;
    const call = { slots: { SIZE: 2 }, bindings: { x } };
    r.dispatch(bump, { ...call, grid: [groupsOf(samples, 3)] });
    r.dispatch(bump, { ...call, grid: [1] });
    r.keep('x', x);
    const recording = await r.finish();
    expect([...recording.allKept().keys()]).toEqual(['x']);
    expect(recording.kept('y')).toBeUndefined();

    const run = (samplesNow: number): number => {
      const encoder = device.gpu.createCommandEncoder();
      const pass = encoder.beginComputePass();
      const encoded = recording.replay(pass, countsOf({ samples: samplesNow }));
      pass.end();
      device.gpu.queue.submit([encoder.finish()]);
      return encoded;
    };
    expect(run(0)).toBe(1);
    expect(run(4)).toBe(2);
    const range = recording.kept('x');
    if (range === undefined) throw new Error('x was kept');
    const bytes = await readBuffer(device, { ...range, size: 8 });
    expect([...new Uint32Array(bytes)]).toEqual([31, 31]);
  });

  it('refuses values that are not there', async () => {
    const device = await open();
    const r = createRecorder(device);
    const other = createRecorder(device);
    const foreign = combined(other, input(other, 1), input(other, 2), 3);
    combined(r, input(r, 1), input(r, 2), 3);

    const unwritten = r.scratch('u32', [3]);
    const reading = (): Tensor => combined(r, unwritten, input(r, 1), 3);
    expect(reading).toThrow(new ShapeError('combine: a is read before it is written'));
    expect(() => r.keep('it', unwritten)).toThrow(
      new ShapeError('recorder: kept value it is read before it is written'),
    );
    const message = 'combine: b belongs to another recorder';
    expect(() => combined(r, input(r, 1), foreign, 3)).toThrow(new ShapeError(message));
    expect(() => combined(r, input(r, 1), r.tensor(foreign), 3)).toThrow(new ShapeError(message));
    expect(() => r.keep('it', foreign)).toThrow(ShapeError);

    const y = r.scratch('u32', [3]);
    const call = { slots: { SIZE: 3, A: 3, B: 3 }, grid: [1] } as const;
    const written = { a: input(r, 1), b: y, y };
    expect(() => r.dispatch(combine, { ...call, bindings: written })).toThrow(ShapeError);
  });

  it('names limits that a dispatch passes', async () => {
    const device = await open();
    const { maxComputeWorkgroupsPerDimension: most, maxStorageBufferBindingSize } =
      device.facts.limits;
    const r = createRecorder(device);
    const x = input(r, 1);
    const dispatch = (...grid: Parameters<typeof r.dispatch>[1]['grid']) =>
      r.dispatch(bump, { slots: {}, bindings: { x }, grid });
    dispatch(most, most);
    const tokens = { count: 'tokens', capacity: 2 * most + 1 } as const;
    expect(() => dispatch(1, most + 1)).toThrow(
      `device: maxComputeWorkgroupsPerDimension is ${most}, needed ${most + 1}; bump needs a larger grid`,
    );
    dispatch(groupsOf(tokens, 3));
    expect(() => dispatch(groupsOf(tokens, 2))).toThrow(DeviceLimitError);

    const large = r.scratch('u32', [maxStorageBufferBindingSize / 4 + 1]);
    expect(() => r.dispatch(bump, { slots: {}, bindings: { x: large }, grid: [1] })).toThrow(
      /^device: maxStorageBufferBindingSize is \d+, needed \d+; bump: x does not fit/,
    );
  });

  it('refuses slots that the shader does not have', async () => {
    const device = await open();
    const r = createRecorder(device);
    const call = { slots: { SIZES: 1 }, bindings: { x: input(r, 1) }, grid: [1] } as const;
    expect(() => r.dispatch(bump, call)).toThrow(
      new ShaderError('bump.wgsl: nothing is called SIZES'),
    );
  });

  it('shares scratch memory between recordings', async () => {
    const device = await open();
    const record = async (size: number): Promise<void> => {
      const r = createRecorder(device);
      const x = r.tensor(device.createTensor('state', 'x', 'f32', [4, size]));
      const w = device.createTensor('state', 'w', 'f32', [size]);
      r.keep('y', rmsNorm(rmsNorm(rmsNorm(x, w, 1), w, 1), w, 1));
      await r.finish();
    };
    await record(5000);
    const { scratch } = device.memory.report();
    await record(5000);
    await record(100);
    expect(device.memory.report().scratch).toBe(scratch);
  });
});

describeOnAdapters('step state', (open) => {
  it('arrives as it was written, up to the given length', async () => {
    const device = await open();
    const before = device.memory.report().state;
    const state = new StateBuffer(device, {
      ids: { dtype: 'u32', shape: [3] },
      empty: { dtype: 'f32', shape: [0, 2] },
      angles: { dtype: 'f32', shape: [70, 2] },
      deltas: { dtype: 'i32', shape: [5] },
    });
    const { ids, angles, deltas } = state.regions;
    ids.words.set([1, 2, 0xffff_ffff]);
    angles.floats.set(random(140, 1));
    deltas.words.set(Int32Array.of(-1, 7, 8, 9, 10));
    state.upload('deltas', 2);

    const read = async ({ memory, sizeBytes }: DeviceTensor): Promise<ArrayBuffer> => {
      if (memory.kind !== 'buffer') throw new Error('step state lies in a buffer');
      return readBuffer(device, { ...memory, size: sizeBytes });
    };
    expect([...new Uint32Array(await read(ids.tensor))]).toEqual([1, 2, 0xffff_ffff]);
    expect([...new Float32Array(await read(angles.tensor))]).toEqual([...random(140, 1)]);
    expect([...new Int32Array(await read(deltas.tensor))]).toEqual([-1, 7, 0, 0, 0]);

    deltas.words.fill(3);
    state.upload('deltas', 100);
    expect([...new Int32Array(await read(deltas.tensor))]).toEqual([3, 3, 3, 3, 3]);
    state.dispose();
    expect(device.memory.report().state).toBe(before);
  });
});

describeOnAdapters('read-back', (open) => {
  it('brings results back in order while later ones are under way', async () => {
    const device = await open();
    const before = device.memory.report().readback;
    const ring = new ReadbackRing(device, 3, 64);
    expect(device.memory.report().readback).toBe(before + 3 * 64);
    const buffer = device.createBuffer('state', 'source', 16);
    const submit = (value: number): (() => Promise<number>) => {
      device.gpu.queue.writeBuffer(buffer, 4, Uint32Array.of(value));
      const encoder = device.gpu.createCommandEncoder();
      const read = ring.copy(encoder, { buffer, offset: 4, size: 4 });
      device.gpu.queue.submit([encoder.finish()]);
      return () => read((bytes) => new Uint32Array(bytes)[0] ?? 0);
    };
    for (let round = 0; round < 3; round += 1) {
      const reads = [1, 2, 3].map((value) => submit(value + 10 * round));
      expect(await Promise.all(reads.map((read) => read()))).toEqual(
        [1, 2, 3].map((value) => value + 10 * round),
      );
    }
    ring.dispose();
    device.destroyBuffer(buffer);
    expect(device.memory.report().readback).toBe(before);
  });

  it('says when every slot is under way, and gets them back whatever becomes of the bytes', async () => {
    const device = await open();
    const ring = new ReadbackRing(device, 1, 16);
    const buffer = device.createBuffer('state', 'source', 16);
    const copy = () => {
      const encoder = device.gpu.createCommandEncoder();
      const read = ring.copy(encoder, { buffer, offset: 0, size: 16 });
      device.gpu.queue.submit([encoder.finish()]);
      return read;
    };
    const read = copy();
    expect(copy).toThrow(GpuValidationError);
    const failing = read(() => {
      throw new Error('mine');
    });
    await expect(failing).rejects.toThrow('mine');
    expect(await copy()((bytes) => bytes.byteLength)).toBe(16);
    ring.dispose();
  });
});

describeOnAdapters('pass timer', (open) => {
  it('measures passes where the device has timestamps', async () => {
    const device = await open();
    const timer = PassTimer.create(device, 2);
    expect(timer !== undefined).toBe(device.facts.hasTimestamps);
    if (timer === undefined) return;

    const recorder = createRecorder(device);
    const { matrix } = uploadMatrix(device, 'f32', 512, 512, random(512 * 512, 1));
    const x = recorder.tensor(upload(device, 'f32', [64, 512], random(64 * 512, 2)));
    recorder.keep('y', matmul(x, matrix, { variant: 'plain' }));
    const recording = await recorder.finish();
    const start = performance.now();
    const submit = (): (() => Promise<number>) => {
      const encoder = device.gpu.createCommandEncoder();
      const pass = encoder.beginComputePass(timer.pass);
      recording.replay(pass, countsOf({}));
      pass.end();
      const read = timer.copy(encoder);
      device.gpu.queue.submit([encoder.finish()]);
      return read;
    };
    const reads = [submit(), submit()];
    const times = await Promise.all(reads.map((read) => read()));
    const wall = performance.now() - start;
    for (const ms of times) expect(ms).toBeGreaterThan(0);
    // Each end of a pass may be rounded by 0.1 ms.
    expect(times.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(wall + 0.4);
    timer.dispose();
  });
});
