/** Which kernels an engine does without. @module */
import { recallAdapter, rememberAdapter } from '../gpu/adapter_record.ts';
import type { Device } from '../gpu/device.ts';
import { shaderHash } from '../gpu/kernel.ts';
import type { KvDType } from '../kernels/kv_cache.ts';
import { selfTest } from '../kernels/self_test.ts';
import type { WeightForm } from '../kernels/matrix.ts';
import { MODEL_TASKS, type ModelTask } from '../kernels/self_test_cases.ts';
import { RequestError } from '../util/errors.ts';
import { describeValue } from '../util/objects.ts';
import type { SelfTestReport } from './api.ts';

const MODES = ['auto', 'always', 'never'] as const;

export interface KernelCheckOptions {
  readonly mode: (typeof MODES)[number];
  /** Opens one more device on the adapter of those to check. */
  readonly open: () => Promise<Device>;
  readonly kvDtype?: KvDType | undefined;
  readonly tasks?: readonly ModelTask[];
}

/** Checks the kernels on each device that an engine takes, unless its adapter is known. */
export class KernelCheck {
  readonly #options: KernelCheckOptions;
  #report: SelfTestReport = { status: 'skipped', checked: [], dropped: [], elapsedMs: 0 };

  /** @throws {RequestError} if the mode is unknown */
  constructor(options: KernelCheckOptions) {
    const { mode } = options;
    if (!MODES.includes(mode)) {
      throw new RequestError(
        `load: selfTest is ${describeValue(mode)}, expected one of: ${MODES.join(', ')}`,
        { param: 'selfTest' },
      );
    }
    this.#options = options;
  }

  /** Of the latest device. */
  get report(): SelfTestReport {
    return this.#report;
  }

  /**
   * Has `device` do without every kernel that is wrong on its adapter. Never rejects; an abort leaves it unfinished.
   *
   * @param forms - those that weights are stored in
   */
  async run(device: Device, forms: readonly WeightForm[], signal?: AbortSignal): Promise<void> {
    const { mode, open, kvDtype = 'f16', tasks = MODEL_TASKS } = this.#options;
    if (mode === 'never') return;
    const startMs = performance.now();
    const version = shaderHash();
    const needs = { weights: forms, kv: kvDtype, tasks };
    const known = mode === 'auto' ? await recallAdapter(device.facts, version) : undefined;
    const result = await selfTest(device.facts, open, needs, known, signal);
    const { checked, dropped, hasRun, isComplete } = result;
    if (hasRun) await rememberAdapter(device.facts, version, result);
    device.drop(dropped.map(({ variant }) => variant));
    const passed = isComplete ? 'passed' : 'skipped';
    this.#report = {
      status: dropped.length > 0 ? 'failed' : passed,
      checked,
      dropped,
      elapsedMs: this.#report.elapsedMs + (hasRun ? performance.now() - startMs : 0),
    };
  }
}
