/** What loading a model has in common, whatever it does: its files, its device, and another one when that is lost. @module */
import type { Device } from '../gpu/device.ts';
import { openDevice, type OpenDeviceOptions } from '../gpu/open_device.ts';
import type { KvDType } from '../kernels/kv_cache.ts';
import type { ModelTask } from '../kernels/self_test_cases.ts';
import type { ModelKind, Models } from '../models/family.ts';
import type { Families } from '../models/kinds.ts';
import { orAbort } from '../util/or_abort.ts';
import type { WeightOption } from '../weights/forms.ts';
import type { ModelSource } from '../weights/source.ts';
import { checkHttpOptions, type HttpOptions } from '../weights/sources/http.ts';
import { resolveSource, type ModelLocation } from '../weights/sources/resolve.ts';
import type { EngineStats, LoadProgress, RecoveryEvent, WeightsReport } from './api.ts';
import { setUpOn } from './failure.ts';
import { KernelCheck } from './kernel_check.ts';
import { checkOptions } from './limits.ts';
import { openModel, uploadModel, type OpenedModel } from './model.ts';
import { Recovery, type PlacedModel } from './recovery.ts';
import { Tuner } from './tuner.ts';
import { checkWeightOption, formDecision, formsIn } from './weight_forms.ts';

/** Options that every kind of model is loaded with; see `LocalLoadOptions`. */
export interface PlaceOptions extends OpenDeviceOptions {
  readonly gpu?: GPU;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly onRecovery?: (event: RecoveryEvent) => void;
  readonly selfTest?: 'auto' | 'always' | 'never';
  readonly tune?: 'auto' | 'always' | 'never';
  readonly kvDtype?: KvDType;
  readonly weights?: WeightOption;
  readonly http?: HttpOptions;
}

/** A model on a device, and what looks after it. */
export interface Placement<Model> extends PlacedModel<Model> {
  /** To be handed to the first `prepare`, with `tune`. */
  readonly recovery: Recovery<Model>;
  readonly kernels: KernelCheck;
  readonly tuner: Tuner;
  readonly weights: WeightsReport;
}

/**
 * Checks the options and reads configuration and weight headers.
 *
 * @throws {RequestError} if a size is no integer in its range
 * @throws as {@link openModel}
 */
export async function openFrom<K extends ModelKind>(
  from: ModelLocation,
  families: Families<K>,
  options: PlaceOptions,
): Promise<{ readonly source: ModelSource; readonly opened: OpenedModel<Models[K]> }> {
  const { signal, onProgress, http, weights = 'auto' } = options;
  signal?.throwIfAborted();
  checkOptions(options);
  checkWeightOption(weights);
  checkHttpOptions(http);
  const source = resolveSource(from, http);
  onProgress?.({ phase: 'files', loadedBytes: 0, totalBytes: 0 });
  return { source, opened: await openModel(source, families, signal) };
}

/**
 * Puts a model on a device, checks the kernels there, and sets up what is to run it. Frees the device if any of it fails.
 *
 * @param setUp - takes over the device when it resolves
 * @param openedDraft - a smaller model to put beside it
 * @throws what `Engine.load` does for files, devices and aborts
 */
export async function placeModel<Model, T>(
  opened: OpenedModel<Model>,
  options: PlaceOptions,
  setUp: (placement: Placement<Model>) => Promise<T>,
  openedDraft?: OpenedModel<Model>,
): Promise<T> {
  const { selfTest: mode = 'auto', tune = 'auto', kvDtype, signal } = options;
  const { weights = 'auto', onProgress, onRecovery } = options;
  const formsOf = formDecision(opened, weights);
  const draftFormsOf = openedDraft && formDecision(openedDraft, weights);
  const tuner = new Tuner({ mode: tune });
  const open = (): Promise<Device> => openDevice(options.gpu, options);
  const tasks = tasksOf(opened);
  const kernels = new KernelCheck({ mode, open, kvDtype, tasks });
  /** Here and again whenever the device is lost, on whatever adapter there is then. */
  const place = async (
    signal: AbortSignal | undefined,
    onProgress?: PlaceOptions['onProgress'],
  ): Promise<PlacedModel<Model>> => {
    const device = await open();
    return setUpOn(device, signal, async () => {
      const [own, drafts] = [formsOf(device.facts), draftFormsOf?.(device.facts)];
      const how = { signal, onProgress };
      const model = await uploadModel(opened, device, { ...how, weights: own.form });
      const draft =
        openedDraft && (await uploadModel(openedDraft, device, { ...how, weights: drafts?.form }));
      onProgress?.({ phase: 'compile', loadedBytes: 0, totalBytes: 0 });
      await orAbort(kernels.run(device, formsIn(own, drafts), signal), signal);
      await tuner.recall(device);
      return { device, model, draft, tune: (signal) => tuner.run(device, signal) };
    });
  };
  const placed = await place(signal, onProgress);
  const recovery = new Recovery({ place, onRecovery });
  return setUpOn(placed.device, signal, async () => {
    const result = await orAbort(
      setUp({ ...placed, recovery, kernels, tuner, weights: formsOf(placed.device.facts) }),
      signal,
    );
    onProgress?.({ phase: 'ready', loadedBytes: 0, totalBytes: 0 });
    return result;
  });
}

function tasksOf({
  kind,
  family,
}: Pick<OpenedModel<unknown>, 'kind' | 'family'>): readonly ModelTask[] {
  switch (kind) {
    case 'decoder':
      return ['decode'];
    case 'encoder':
      return family.usesDistances === true ? ['encode', 'distances'] : ['encode'];
    case 'seq2seq':
      return ['decode', 'encode'];
  }
}

/** What a snapshot of any model tells of its device. */
export function describePlacement(
  device: Device,
  { kernels, tuner }: Pick<Placement<unknown>, 'kernels' | 'tuner'>,
): Pick<EngineStats, 'adapter' | 'memory' | 'pipelines' | 'thread' | 'selfTest' | 'tuning'> {
  const { vendor, architecture, description, isSoftware, hasF16, hasSubgroups } = device.facts;
  return {
    adapter: { vendor, architecture, description, isSoftware, hasF16, hasSubgroups },
    memory: device.memory.report(),
    pipelines: device.pipelines.size,
    thread: thisThread(),
    selfTest: kernels.report,
    tuning: tuner.report,
  };
}

/** Also in a worker of the caller's own. */
function thisThread(): EngineStats['thread'] {
  if ('SharedWorkerGlobalScope' in globalThis) return 'shared-worker';
  return 'WorkerGlobalScope' in globalThis ? 'worker' : 'page';
}
