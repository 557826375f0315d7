import { expect, it } from 'vitest';
import { Engine } from '../../../src/index.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyModel } from '../../support/tiny_model.ts';

describeOnGpus('GPU time', (gpu) => {
  it('adds up over steps where it is asked for and the device has timestamps', async () => {
    const adapter = await gpu().requestAdapter();
    const engine = await Engine.load(tinyModel(), {
      gpu: gpu(),
      selfTest: 'never',
      measureGpuTime: true,
    });
    const start = performance.now();
    await engine.completions.create({ prompt: 'HELLO', max_tokens: 8, ignore_eos: true });
    const wall = performance.now() - start;
    const { gpuMs, steps } = (await engine.stats()).totals;
    await engine.dispose();
    expect(gpuMs !== undefined).toBe(adapter?.features.has('timestamp-query'));
    if (gpuMs === undefined) return;
    expect(gpuMs).toBeGreaterThan(0);
    // Each end of a pass may be rounded by 0.1 ms.
    expect(gpuMs).toBeLessThan(wall + 0.2 * steps);
  });

  it('is not there otherwise', async () => {
    const settings = { gpu: gpu(), measureGpuTime: true, without: ['timestamp-query'] } as const;
    for (const options of [{ gpu: gpu() }, settings]) {
      const engine = await Engine.load(tinyModel(), { selfTest: 'never', ...options });
      await engine.completions.create({ prompt: 'HELLO', max_tokens: 2, ignore_eos: true });
      expect((await engine.stats()).totals).not.toHaveProperty('gpuMs');
      await engine.dispose();
    }
  });
});
