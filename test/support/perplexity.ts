/** How well a decoder predicts text: what rounding its weights costs. @module */
import { Generator } from '../../src/engine/generator.ts';
import { resolveLimits } from '../../src/engine/limits.ts';
import type { OpenedModel } from '../../src/engine/model.ts';
import { uploadModel } from '../../src/engine/model.ts';
import { openDevice } from '../../src/gpu/open_device.ts';
import { readBuffer } from '../../src/gpu/readback.ts';
import type { Decoder } from '../../src/models/family.ts';
import type { WeightChoice } from '../../src/weights/forms.ts';

/**
 * exp of the mean of −ln p(token | tokens before it), over all tokens of all texts but the first of each.
 *
 * @param texts - token ids, each text of two or more
 */
export async function perplexity(
  gpu: GPU,
  opened: OpenedModel<Decoder>,
  weights: WeightChoice,
  texts: readonly (readonly number[])[],
): Promise<number> {
  const device = await openDevice(gpu);
  try {
    const decoder = await uploadModel(opened, device, { weights });
    const longest = Math.max(...texts.map(({ length }) => length));
    const sizes = { contextLength: longest, tokenBudget: longest, maxSequences: 1 } as const;
    const limits = resolveLimits({ ...sizes, kvDtype: 'f32' }, decoder, device.facts);
    const { runner } = new Generator(device, decoder, limits);
    let [surprise, predicted] = [0, 0];
    for (const text of texts) {
      const logits = (await runner.inspect(text)).get('logits');
      if (logits === undefined) throw new Error('the model names no logits');
      const size = 4 * text.length * decoder.vocab;
      const values = new Float32Array(await readBuffer(device, { ...logits, size }));
      for (const [i, token] of text.slice(1).entries()) {
        const row = values.subarray(i * decoder.vocab, (i + 1) * decoder.vocab);
        surprise += surpriseOf(row, token);
        predicted += 1;
      }
    }
    return Math.exp(surprise / predicted);
  } finally {
    device.dispose();
  }
}

/** −ln of the probability that a softmax gives to a token. */
function surpriseOf(logits: Float32Array, token: number): number {
  const largest = logits.reduce((most, value) => Math.max(most, value), -Infinity);
  const sum = logits.reduce((total, value) => total + Math.exp(value - largest), 0);
  return largest + Math.log(sum) - (logits[token] ?? NaN);
}
