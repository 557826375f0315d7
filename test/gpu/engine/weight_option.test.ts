/** The option `weights`, from loading to recovery. */
import { describe, expect, it } from 'vitest';
import { Encoder, Engine, type LoadOptions, type LoadProgress } from '../../../src/index.ts';
import { openDirectory } from '../../../src/node/directory.ts';
import { losableGpu } from '../../support/capture_devices.ts';
import { CONFORMANCE } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyModel } from '../../support/tiny_model.ts';

async function reply(engine: Engine): Promise<string> {
  const params = { prompt: 'abcdef', max_tokens: 12, temperature: 0 };
  return (await engine.completions.create(params)).choices[0]?.text ?? '';
}

describeOnGpus('weights', (gpu) => {
  it('take the memory of their form, also after the device was lost', async () => {
    const { gpu: losable, lose } = losableGpu(gpu());
    let tell = (): void => undefined;
    const recovered = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const engine = await Engine.load(tinyModel(), {
      contextLength: 64,
      maxSequences: 1,
      selfTest: 'never',
      gpu: losable,
      weights: 'q4',
      onRecovery: ({ phase }) => {
        if (phase !== 'lost') tell();
      },
    });
    const before = await engine.stats();
    const { form, reason, matrices } = before.model.weights;
    expect([form, reason, Object.keys(matrices)]).toEqual([
      'q4',
      'asked for; 8 matrices of fewer than 262144 elements have 8 bits',
      ['q8'],
    ]);
    const inMatrices = Object.values(matrices).reduce((sum, { bytes }) => sum + bytes, 0);
    // Norms, and what fills the last 16 bytes of buffers.
    expect(before.memory.weights).toBeGreaterThan(inMatrices);
    expect(before.memory.weights).toBeLessThan(inMatrices + 4096);
    const said = await reply(engine);
    expect(said).toHaveLength(12);

    lose('on purpose');
    await recovered;
    const after = await engine.stats();
    expect(after.recoveries).toBe(1);
    expect(after.memory.weights).toBe(before.memory.weights);
    expect(after.model.weights).toEqual(before.model.weights);
    expect(await reply(engine)).toBe(said);
    await engine.dispose();
  });

  it('tell progress by the bytes of the files', async () => {
    const seen: LoadProgress[] = [];
    const source = openDirectory(`${CONFORMANCE}/bert-base`);
    const encoder = await Encoder.load(source, {
      gpu: gpu(),
      weights: 'q8',
      selfTest: 'never',
      onProgress: (progress) => seen.push(progress),
    });
    const { form, matrices } = (await encoder.stats()).model.weights;
    expect([form, Object.keys(matrices).includes('q8')]).toEqual(['q8', true]);
    await encoder.dispose();
    const last = seen.findLast(({ phase }) => phase === 'weights');
    expect(last?.loadedBytes).toBe(last?.totalBytes);
    expect(last?.totalBytes).toBeGreaterThan(0);
  });
});

describe('weights', () => {
  it.each(['int4', 8, null, 'F16', 'stored'])('%j is no form', async (weights) => {
    const options = { weights } as unknown as LoadOptions;
    await expect(Engine.load(tinyModel(), options)).rejects.toMatchObject({
      name: 'RequestError',
      param: 'weights',
      message: `load: weights is ${JSON.stringify(weights)}, expected one of: auto, f32, f16, q8, q4`,
    });
  });
});
