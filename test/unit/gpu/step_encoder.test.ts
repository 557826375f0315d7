import { describe, expect, it } from 'vitest';
import { Recording, type Dispatch } from '../../../src/gpu/recording.ts';
import { StepEncoder, SUBMITTED_FLOPS } from '../../../src/gpu/step_encoder.ts';
import { NO_COUNTS } from '../../../src/gpu/tensor.ts';
import type { PassTimer } from '../../../src/gpu/timing.ts';

const WORK = { counts: NO_COUNTS, kvTokens: 0, pairs: 0 };
const TIMER = { pass: { label: 'begins' }, rest: { label: 'goes on' } } as unknown as PassTimer;

/** A GPU that notes what it is told. */
function notingGpu(): { readonly gpu: GPUDevice; readonly notes: string[] } {
  const notes: string[] = [];
  const note = (text: string) => (): void => void notes.push(text);
  const pass = {
    setPipeline: (pipeline: string) => notes.push(pipeline),
    setBindGroup: () => undefined,
    dispatchWorkgroups: () => undefined,
    end: note('end'),
  };
  const gpu = {
    createCommandEncoder: () => ({
      beginComputePass: ({ label }: GPUComputePassDescriptor = {}) => {
        notes.push(label ?? 'pass');
        return pass;
      },
      finish: () => ({}),
    }),
    queue: { submit: note('submit') },
  };
  return { gpu: gpu as unknown as GPUDevice, notes };
}

/** Dispatches called a, b, …, which compute so much of what a submission may. */
function recordingOf(...shares: readonly number[]): Recording {
  const dispatches = shares.map((share, i) => {
    const pipeline = String.fromCodePoint(97 + i);
    const cost = (): object => ({ bytes: 0, flops: share * SUBMITTED_FLOPS });
    return { pipeline, cost, grid: [1] } as unknown as Dispatch;
  });
  return new Recording(dispatches, new Map());
}

describe('a step', () => {
  it('is submitted in parts that end in time, all but the last', () => {
    const { gpu, notes } = notingGpu();
    const encoder = new StepEncoder(gpu, TIMER);
    const encoded = encoder.replay(recordingOf(0.5, 0.5, 0.1, 3, 0, 0.2), NO_COUNTS, WORK);
    encoder.end();
    expect(encoded).toBe(6);
    expect(notes.join(' ')).toBe(
      'begins a b end submit goes on c end submit goes on d end submit goes on e f end',
    );
  });

  it('goes on with the part that another recording began', () => {
    const { gpu, notes } = notingGpu();
    const encoder = new StepEncoder(gpu);
    encoder.replay(recordingOf(0.5, 0.4), NO_COUNTS, WORK);
    encoder.replay(recordingOf(0.1, 0.1), NO_COUNTS, WORK);
    encoder.end();
    expect(notes.join(' ')).toBe('pass a b a end submit pass b end');
  });

  it('is one submission where it is known to be short', () => {
    const { gpu, notes } = notingGpu();
    const encoder = new StepEncoder(gpu);
    encoder.replay(recordingOf(9, 9), NO_COUNTS);
    encoder.end();
    expect(notes.join(' ')).toBe('pass a b end');
  });
});
