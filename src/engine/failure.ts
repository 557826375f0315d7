import type { Device } from '../gpu/device.ts';
import {
  DeviceLostError,
  GpuValidationError,
  OutOfMemoryError,
  QuernError,
  ShaderError,
} from '../util/errors.ts';

/** How long a failed GPU call waits for the device to say that it was lost, milliseconds. */
const LOSS_GRACE_MS = 200;

/**
 * Names an error of a GPU call. A call that fails because the device is gone reports that in its own words, often
 * before the device does.
 */
export async function nameFailure(device: Device, error: unknown): Promise<QuernError> {
  const failure = await failureBehind(device, error);
  if (failure !== undefined) return failure;
  if (error instanceof QuernError) return error;
  const reason = messageOf(error);
  return error instanceof DOMException
    ? new DeviceLostError(`device: ${reason}; load the model again`, { cause: error, reason })
    : new GpuValidationError(`engine: ${reason}`, { cause: error });
}

/**
 * Sets something up on a device; a device on which that fails is disposed.
 *
 * @throws `signal.reason` when aborted, else the device's failure behind the error, else the error itself
 */
export async function setUpOn<T>(
  device: Device,
  signal: AbortSignal | undefined,
  setUp: () => Promise<T>,
): Promise<T> {
  try {
    const result = await setUp();
    signal?.throwIfAborted();
    return result;
  } catch (error) {
    const failure = signal?.aborted === true ? undefined : await failureBehind(device, error);
    device.dispose();
    signal?.throwIfAborted();
    throw failure ?? error;
  }
}

/** What an error says, for a message about what came of it. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The device's failure that this error came of, if the device has failed or does so in a moment. */
async function failureBehind(device: Device, error: unknown): Promise<QuernError | undefined> {
  if (device.failure !== undefined || !mayComeOfLoss(error)) return device.failure;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const grace = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), LOSS_GRACE_MS);
  });
  const failure = await Promise.race([device.failed, grace]);
  clearTimeout(timer);
  return failure;
}

/** Errors of files, options and limits are not of the device's making. */
function mayComeOfLoss(error: unknown): boolean {
  return (
    !(error instanceof QuernError) ||
    error instanceof ShaderError ||
    error instanceof OutOfMemoryError ||
    error instanceof GpuValidationError
  );
}
