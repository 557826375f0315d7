/** What loading a model has in common, whatever it does: its files, its device, and another one when that is lost. @module */
import { openDevice, type Device, type OpenDeviceOptions } from '../gpu/device.ts';
import type { KvDType } from '../kernels/kv_cache.ts';
import type { ModelTask } from '../kernels/self_test_cases.ts';
import type { ModelKind, Models } from '../models/family.ts';
import type { Families } from '../models/kinds.ts';
import { orAbort } from '../util/or_abort.ts';
import type { ModelSource } from '../weights/source.ts';
import type { HttpOptions } from '../weights/sources/http.ts';
import { resolveSource, type ModelLocation } from '../weights/sources/resolve.ts';
import type { EngineStats, LoadProgress, RecoveryEvent } from './api.ts';
import { setUpOn } from './failure.ts';
import { KernelCheck } from './kernel_check.ts';
import { checkOptions } from './limits.ts';
import { openModel, uploadModel, type OpenedModel } from './model.ts';
import { Recovery, type PlacedModel } from './recovery.ts';

/** Options that every kind of model is loaded with; see `LocalLoadOptions`. */
export interface PlaceOptions extends OpenDeviceOptions {
  readonly gpu?: GPU;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly onRecovery?: (event: RecoveryEvent) => void;
  readonly selfTest?: 'auto' | 'always' | 'never';
  readonly kvDtype?: KvDType;
  readonly http?: HttpOptions;
}

/** A model on a device, and what looks after it. */
export interface Placement<Model> extends PlacedModel<Model> {
  /** To be handed to the first `prepare`. */
  readonly recovery: Recovery<Model>;
  readonly kernels: KernelCheck;
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
  const { signal, onProgress, http } = options;
  signal?.throwIfAborted();
  checkOptions(options);
  const source = resolveSource(from, http);
  onProgress?.({ phase: 'files', loadedBytes: 0, totalBytes: 0 });
  return { source, opened: await openModel(source, families, signal) };
}

/**
 * Puts a model on a device, checks the kernels there, and sets up what is to run it. Frees the device if any of it fails.
 *
 * @param setUp - takes over the device when it resolves
 * @throws what `Engine.load` does for files, devices and aborts
 */
export async function placeModel<Model, T>(
  opened: OpenedModel<Model>,
  options: PlaceOptions,
  setUp: (placement: Placement<Model>) => Promise<T>,
): Promise<T> {
  const { selfTest: mode = 'auto', kvDtype, signal, onProgress, onRecovery } = options;
  const open = (): Promise<Device> => openDevice(options.gpu, options);
  const { tensors } = opened.checkpoint;
  const tasks = tasksOf(opened);
  const kernels = new KernelCheck({ mode, open, tensors, kvDtype, tasks });
  /** Here and again whenever the device is lost, on whatever adapter there is then. */
  const place = async (
    signal: AbortSignal | undefined,
    onProgress?: PlaceOptions['onProgress'],
  ): Promise<PlacedModel<Model>> => {
    const device = await open();
    return setUpOn(device, signal, async () => {
      const model = await uploadModel(opened, device, { signal, onProgress });
      onProgress?.({ phase: 'compile', loadedBytes: 0, totalBytes: 0 });
      await orAbort(kernels.run(device, signal), signal);
      return { device, model };
    });
  };
  const placed = await place(signal, onProgress);
  const recovery = new Recovery({ place, onRecovery });
  return setUpOn(placed.device, signal, async () => {
    const result = await orAbort(setUp({ ...placed, recovery, kernels }), signal);
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
  kernels: KernelCheck,
): Pick<EngineStats, 'adapter' | 'memory' | 'pipelines' | 'thread' | 'selfTest'> {
  const { vendor, architecture, description, isSoftware, hasF16, hasSubgroups } = device.facts;
  return {
    adapter: { vendor, architecture, description, isSoftware, hasF16, hasSubgroups },
    memory: device.memory.report(),
    pipelines: device.pipelines.size,
    thread: thisThread(),
    selfTest: kernels.report,
  };
}

/** Also in a worker of the caller's own. */
function thisThread(): EngineStats['thread'] {
  if ('SharedWorkerGlobalScope' in globalThis) return 'shared-worker';
  return 'WorkerGlobalScope' in globalThis ? 'worker' : 'page';
}
