/** How texts are put together where a device has little room for what is asked of them. */
import { expect, it } from 'vitest';
import { EncoderQueue } from '../../../src/engine/encoder_queue.ts';
import type { EncoderTask } from '../../../src/engine/encoder_batches.ts';
import { Device } from '../../../src/gpu/device.ts';
import type { DeviceFacts } from '../../../src/gpu/facts.ts';
import { openDevice } from '../../../src/gpu/open_device.ts';
import { embedding } from '../../../src/kernels/embedding.ts';
import { matmul } from '../../../src/kernels/matmul.ts';
import type { EncoderModel } from '../../../src/models/family.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';

const VOCAB = 1000;
const DIM = 4;
/** Rows of logits that fit in a binding, and in the largest buffer. */
const ROWS = 100;

/** A model of one table, whose rows of logits are far wider than anything else. */
function wideModel(device: Device): EncoderModel {
  const tensor = device.createTensor('weights', 'words', 'f32', [VOCAB, DIM]);
  const { memory } = tensor;
  if (memory.kind === 'buffer') {
    const values = Float32Array.from({ length: VOCAB * DIM }, (_, i) => (i % DIM === 0 ? i : 0));
    device.gpu.queue.writeBuffer(memory.buffer, 0, values);
  }
  const shards = [{ tensor, firstRow: 0, rows: VOCAB }];
  const words = { rows: VOCAB, cols: DIM, form: 'f32', shards } as const;
  return {
    kv: { layers: 1, heads: 1, kvHeads: 1, headDim: DIM, window: undefined },
    ropes: [],
    vocab: VOCAB,
    maxPositions: Infinity,
    dim: DIM,
    tokenTypes: 0,
    encode: (step) => embedding(step.tokens, step.lastTokens, words),
    outputs: {
      last_hidden_state: { per: 'token', size: DIM, compute: (hidden) => hidden },
      logits: { per: 'token', size: VOCAB, compute: (hidden) => matmul(hidden, words) },
    },
  };
}

/** The last of the logits of a token. */
const lastLogit = (id: number): number => DIM * id * DIM * (VOCAB - 1);

describeOnGpus(
  'texts for which a device has little room',
  (gpu) => {
    const most = ROWS * VOCAB * 4;
    it.each<[string, Partial<DeviceFacts['limits']>, EncoderTask, number[], number]>([
      [
        'rows of all tokens',
        { maxStorageBufferBindingSize: most },
        { outputs: ['logits'], selects: false },
        [7],
        1,
      ],
      [
        'rows of chosen tokens, read back together',
        { maxStorageBufferBindingSize: most, maxBufferSize: most },
        { outputs: ['last_hidden_state', 'logits'], selects: true },
        [7, 5],
        2,
      ],
      [
        'workgroups',
        { maxComputeWorkgroupsPerDimension: ROWS },
        { outputs: ['logits'], selects: true },
        [7, 5, 6, 9],
        3,
      ],
    ])('are cut into steps that fit: %s', async (_, few, task, ids, steps) => {
      const { gpu: real, facts } = await openDevice(gpu());
      const device = new Device(real, { ...facts, limits: { ...facts.limits, ...few } });
      const limits = { tokenBudget: 512, maxInFlight: 2 };
      const queue = new EncoderQueue(device, wideModel(device), limits);
      const positions = task.selects ? ids.slice(0, 2).map((_, i) => i) : undefined;
      const rows = positions?.length ?? ids.length;
      const encode = (): Promise<Float32Array | undefined> =>
        new Promise((resolve, reject) => {
          const sequence = { ids, positions };
          const onResult = (result: ReadonlyMap<string, Float32Array>): void =>
            resolve(result.get('logits'));
          queue.add([{ sequence, task, onResult, onError: reject }]);
        });
      for (const logits of await Promise.all(Array.from({ length: 70 }, encode))) {
        expect(logits).toHaveLength(rows * VOCAB);
        expect(logits?.[VOCAB - 1]).toBe(lastLogit(7));
      }
      expect(queue.totals.steps).toBe(steps);
      await queue.dispose();
    });
  },
  ONE_ADAPTER,
);
