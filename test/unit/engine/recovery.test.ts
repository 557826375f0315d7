/** How often a lost device is replaced, and who is told of it. */
import { describe, expect, it } from 'vitest';
import type { RecoveryEvent } from '../../../src/engine/api.ts';
import { Recovery, type PlacedModel } from '../../../src/engine/recovery.ts';
import { DeviceLostError, DisposedError, DownloadError } from '../../../src/util/errors.ts';

const lost = (reason: string): DeviceLostError =>
  new DeviceLostError(`device: lost (${reason}); load the model again`, { reason });

/** Stands for a model on a device; nothing here looks into it. */
const PLACED = {} as PlacedModel<unknown>;

/** A recovery with a clock of its own, whose attempts succeed unless `attempt` throws. */
function create(attempt: (signal: AbortSignal) => Promise<void> | void = () => undefined) {
  const clock = { nowMs: 5_000 };
  const events: RecoveryEvent[] = [];
  const recovery = new Recovery({
    async place(signal) {
      await attempt(signal);
      return PLACED;
    },
    onRecovery: (event) => events.push(event),
    now: () => clock.nowMs,
  });
  const moved: PlacedModel<unknown>[] = [];
  const lose = (reason: string): Promise<void> =>
    recovery.replace(lost(reason), async (placed) => {
      moved.push(placed);
    });
  const phases = () => events.map(({ phase, reason }) => `${phase}: ${reason}`);
  return { recovery, clock, lose, moved, phases };
}

describe('recovery', () => {
  it('replaces two devices within any minute, and no third', async () => {
    const { recovery, clock, lose, moved, phases } = create();
    await lose('first');
    clock.nowMs += 40_000;
    await lose('second');
    clock.nowMs += 19_999;
    const third = lose('third');
    await expect(third).rejects.toThrow(DeviceLostError);
    await expect(third).rejects.toMatchObject({
      message: expect.stringMatching(
        /^device: lost \(third\) again, after 2 recoveries within a minute; .*load the model again$/,
      ),
      reason: 'third',
      cause: { message: 'device: lost (third); load the model again' },
    });
    clock.nowMs += 1; // a minute after the first
    await lose('fourth');
    await expect(lose('fifth')).rejects.toThrow(/again, after 2 recoveries/);
    expect(recovery.count).toBe(3);
    expect(moved).toEqual([PLACED, PLACED, PLACED]);
    expect(phases()).toEqual([
      'lost: first',
      'recovered: first',
      'lost: second',
      'recovered: second',
      'lost: fourth',
      'recovered: fourth',
    ]);
  });

  it('replaces a device that is lost while it takes the place of another', async () => {
    let attempts = 0;
    const { recovery, lose, moved, phases } = create(() => {
      attempts += 1;
      if (attempts === 1) throw lost('again');
    });
    await lose('first');
    expect([attempts, moved.length, recovery.count]).toEqual([2, 1, 1]);
    expect(phases()).toEqual(['lost: first', 'lost: again', 'recovered: again']);
    await expect(lose('third')).rejects.toThrow(/^device: lost \(third\) again/);
  });

  it('gives up after two attempts that are lost themselves', async () => {
    let attempts = 0;
    const { recovery, lose } = create(() => {
      attempts += 1;
      throw lost(`attempt ${attempts}`);
    });
    await expect(lose('first')).rejects.toThrow(/^device: lost \(attempt 2\) again, after 2/);
    expect([attempts, recovery.count]).toEqual([2, 0]);
  });

  it.each([
    new DownloadError('https://host/model.safetensors', 'answered 404', { status: 404 }),
    new TypeError('the folder is gone'),
    'gone',
  ])('says why there is no new device: %s', async (cause) => {
    const { lose } = create(() => {
      throw cause;
    });
    const reason = cause instanceof Error ? cause.message : cause;
    const losing = lose('unknown: driver reset');
    await expect(losing).rejects.toThrow(DeviceLostError);
    await expect(losing).rejects.toMatchObject({
      message: `device: lost (unknown: driver reset) and could not be replaced: ${reason}; load the model again`,
      cause,
    });
  });

  it('ends with the reason when it is stopped, and tells nothing any more', async () => {
    const { recovery, lose, moved, phases } = create(
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted somehow')));
        }),
    );
    const losing = lose('first');
    const reason = new DisposedError('engine: disposed');
    recovery.stop(reason);
    await expect(losing).rejects.toBe(reason);
    recovery.tell('failed', lost('first'));
    await Promise.resolve();
    expect(moved).toEqual([]);
    expect(phases()).toEqual(['lost: first']);
  });
});
