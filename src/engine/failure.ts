import type { Device } from '../gpu/device.ts';
import { DeviceLostError, GpuValidationError, QuernError } from '../util/errors.ts';

/** How long a failed GPU call waits for the device to say that it was lost, milliseconds. */
const LOSS_GRACE_MS = 200;

/**
 * Names an error of a GPU call. A call that fails because the device is gone reports that in its own words, often
 * before the device does.
 */
export async function nameFailure(device: Device, error: unknown): Promise<QuernError> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const grace = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), LOSS_GRACE_MS);
  });
  const loss = await Promise.race([device.failed, grace]);
  clearTimeout(timer);
  if (loss !== undefined) return loss;
  if (error instanceof QuernError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return error instanceof DOMException
    ? new DeviceLostError(`device: ${reason}; load the model again`, { cause: error })
    : new GpuValidationError(`engine: ${reason}`, { cause: error });
}
