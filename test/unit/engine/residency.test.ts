import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Residency } from '../../../src/engine/residency.ts';
import type { Device } from '../../../src/gpu/device.ts';

/** What a residency asks of a device that never fails. */
const DEVICE = { failed: new Promise(() => undefined) } as unknown as Device;

it('works on what comes while its loop is ending', async () => {
  for (let gap = 0; gap < 12; gap += 1) {
    const jobs: string[] = [];
    const done: string[] = [];
    const residency = new Residency(
      { device: DEVICE, model: undefined },
      {
        settle: () => ({
          totals: { steps: 0, dispatches: 0 },
          prepare: async () => undefined,
          forget: () => undefined,
        }),
        onLost: () => undefined,
        onFailed: () => undefined,
        async work() {
          for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
            await Promise.resolve();
            done.push(job);
          }
        },
      },
    );
    jobs.push('first');
    residency.start();
    for (let tick = 0; tick < gap; tick += 1) await Promise.resolve();
    jobs.push('second');
    residency.start();
    await setImmediate();
    expect(done, `after ${gap} turns`).toEqual(['first', 'second']);
  }
});
