import type { Encoding } from '../engine/encoder_api.ts';
import {
  DeviceLostError,
  DisposedError,
  GpuValidationError,
  OutOfMemoryError,
  WorkerError,
} from '../util/errors.ts';
import { isRecord } from '../util/objects.ts';
import { whenGone } from './lifetime.ts';
import type { Lease, ModelPool } from './pool.ts';
import { modelKey, receiveLocation } from './post.ts';
import {
  PROTOCOL_VERSION,
  type Kind,
  type ModelMethods,
  type ModelProgress,
  type Models,
  type Note,
  type PostedLocation,
  type PostedOptions,
} from './protocol.ts';
import { answer, type Handlers } from './rpc.ts';

/** The worker that pages are served in. */
export interface Host {
  /** Whether pages that load the same model get the same one. */
  readonly isShared: boolean;
  readonly pool: ModelPool;
  /** From `holdLock`, for as long as the worker lives. */
  readonly lock: Promise<string | undefined>;
}

/**
 * Serves one model to one page, until the page disposes it or is gone.
 *
 * @param port - to the page; nobody else listens to it
 */
export function serve(port: MessagePort, host: Host): void {
  new Connection(port, host).start();
}

/** A page's connection, and what was loaded over it. */
class Connection {
  readonly #port: MessagePort;
  readonly #host: Host;
  readonly #gone = new AbortController();
  #leases
}
