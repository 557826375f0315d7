/** What contests are held with: a Node process or a page makes one. @module */
import type { Device } from '../src/gpu/device.ts';
import type { Clock } from './clock.ts';
import type { Peer } from './ort.ts';

export interface Arena {
  readonly clock: Clock;
  /** Opens a device with Quern's defaults, for one contest: it frees all memory when it is disposed. */
  readonly openDevice: () => Promise<Device>;
  /** ONNX Runtime; the same each time. */
  readonly openPeer: () => Promise<Peer>;
}
