/** Kernels chosen by measurement: they change how long a reply takes, not what it is. */
import { expect, it } from 'vitest';
import { Engine } from '../../../src/index.ts';
import { Tuner } from '../../../src/engine/tuner.ts';
import { openDevice } from '../../../src/gpu/open_device.ts';
import { Recorder } from '../../../src/gpu/recorder.ts';
import { StateBuffer } from '../../../src/gpu/state_buffer.ts';
import type { Tensor } from '../../../src/gpu/tensor.ts';
import { gatherRows } from '../../../src/kernels/gather_rows.ts';
import { rmsNorm } from '../../../src/kernels/rms_norm.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { upload } from '../../support/run_op.ts';
import { tinyModel } from '../../support/tiny_model.ts';

describeOnGpus('tuning', (gpu) => {
  it('leaves a reply as it is, and says what it chose', { timeout: 120_000 }, async () => {
    const replies: string[] = [];
    for (const tune of ['never', 'always'] as const) {
      const options = {
        gpu: gpu(),
        selfTest: 'never',
        contextLength: 64,
        tokenBudget: 16,
      } as const;
      const engine = await Engine.load(tinyModel(), { ...options, tune });
      const { choices } = await engine.completions.create({
        prompt: 'Tell me',
        max_tokens: 12,
        temperature: 0,
      });
      replies.push(choices[0]?.text ?? '');
      const { tuning } = await engine.stats();
      if (tune === 'never') expect(tuning).toEqual({ status: 'skipped', chosen: {}, elapsedMs: 0 });
      else {
        expect(tuning.status).toMatch(/complete|partial/);
        // A busy machine may not get far in two seconds.
        const keys = Object.keys(tuning.chosen);
        for (const [key, name] of Object.entries(tuning.chosen)) {
          expect(tuning.measuredMs?.[key]?.[name]).toBeGreaterThan(0);
          expect(key).toMatch(
            /^matmul f32 \d+x\d+, (1|8|many) rows$|^attention f16 4\/2 heads of 16, (one query|many queries)$/,
          );
        }
        if (tuning.status === 'complete') expect(keys.join()).toContain(', 1 rows');
        expect(tuning.elapsedMs).toBeGreaterThan(0);
      }
      await engine.dispose();
    }
    expect(replies[1]).toBe(replies[0]);
  });

  it('takes the fastest of those that are right', async () => {
    const device = await openDevice(gpu());
    const { counts } = new StateBuffer(device, { counts: { dtype: 'u32', shape: [8] } }).regions;
    const weight = upload(device, 'f32', [64], new Float32Array(64).fill(1));
    const same = upload(
      device,
      'u32',
      [500],
      new Uint32Array(500).map((_, i) => i),
    );
    const rehearse = (recorder: Recorder, name: string) => {
      const x = recorder.workspace('f32', [500, 64]);
      const normed = (): Tensor => rmsNorm(x, weight, 1e-6);
      let output = normed();
      // As right as the fast one, and many times the work.
      if (name === 'slow') for (let i = 0; i < 12; i += 1) output = normed();
      if (name === 'wrong') output = gatherRows(x, recorder.tensor(same));
      return { inputs: [x], output };
    };
    const recorder = new Recorder(device, counts.tensor);
    const candidates = ['slow', 'wrong', 'fast'];
    expect(
      recorder.decide('a choice', {
        candidates,
        cost: 1,
        bytes: 1000,
        rehearsals: [rehearse, rehearse],
      }),
    ).toBe('slow');

    const tuner = new Tuner({ mode: 'always', budgetMs: 60_000 });
    expect(await tuner.run(device)).toBe(true);
    expect(tuner.report).toMatchObject({ status: 'complete', chosen: { 'a choice': 'fast' } });
    expect(recorder.device.facts.tuned.get('a choice')).toBe('fast');
    expect(
      new Recorder(device, counts.tensor).decide('a choice', {
        candidates,
        cost: 1,
        bytes: 1000,
        rehearsals: [rehearse, rehearse],
      }),
    ).toBe('fast');
    // Nothing is left to measure.
    expect(await tuner.run(device)).toBe(false);

    const outOfTime = new Tuner({ mode: 'always', budgetMs: 0 });
    recorder.decide('another', {
      candidates,
      cost: 1,
      bytes: 1000,
      rehearsals: [rehearse, rehearse],
    });
    expect(await outOfTime.run(device)).toBe(false);
    expect(outOfTime.report.status).toBe('partial');
    device.dispose();
  });

  it('stops when it is told to', async () => {
    const device = await openDevice(gpu());
    await expect(
      new Tuner({ mode: 'always' }).run(device, AbortSignal.abort(new Error('enough'))),
    ).rejects.toThrow('enough');
    expect(() => new Tuner({ mode: 'sometimes' as 'auto' })).toThrow(
      'load: tune is "sometimes", expected one of: auto, always, never',
    );
    device.dispose();
  });
});
