/** Contests in a Node process, with `webgpu` (Dawn) and `onnxruntime-node`. @module */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { openDevice } from '../src/gpu/open_device.ts';
import { openGpu, type AdapterChoice } from '../src/node/gpu.ts';
import type { Arena } from './arena.ts';
import { Clock } from './clock.ts';
import { onlyDriver } from './drivers.ts';
import { Peer, type Ort } from './ort.ts';

/**
 * Loads ONNX Runtime and opens its device, before Quern's: Quern looks for more drivers than one.
 *
 * @throws if it is not installed, has no WebGPU, or took another adapter than the one chosen
 */
export async function openNodeArena(adapter: Exclude<AdapterChoice, 'null'>): Promise<Arena> {
  const driver = adapter === 'default' ? undefined : onlyDriver(adapter);
  const require = createRequire(import.meta.url);
  const ort: Ort = require('onnxruntime-node');
  const { version }: { version: string } = require('onnxruntime-node/package.json');
  const peer = await Peer.open(ort, version);
  if (driver !== undefined) checkDriver(driver);
  return {
    clock: new Clock(() => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    }),
    openDevice: async () => openDevice(await openGpu(adapter)),
    openPeer: () => Promise.resolve(peer),
  };
}

/** @throws unless this process has loaded the driver's library */
function checkDriver(file: string): void {
  const { ICD }: { ICD: { library_path: string } } = JSON.parse(readFileSync(file, 'utf8'));
  const library = basename(ICD.library_path);
  if (!readFileSync('/proc/self/maps', 'utf8').includes(library)) {
    throw new Error(`onnxruntime: does not run on ${file}: ${library} is not loaded`);
  }
}
