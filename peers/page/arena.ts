/** Contests in a page, with the browser's WebGPU and `onnxruntime-web`. @module */
import * as ort from 'onnxruntime-web/webgpu';
import { openDevice } from '../../src/gpu/open_device.ts';
import type { Arena } from '../arena.ts';
import { Clock } from '../clock.ts';
import { Peer } from '../ort.ts';

/** @param readCpu - the browser's CPU time in milliseconds, where somebody outside of the page tells it */
export function openPageArena(readCpu: () => number | Promise<number> = () => Number.NaN): Arena {
  let peer: Promise<Peer> | undefined;
  return {
    clock: new Clock(readCpu),
    openDevice: () => openDevice(),
    openPeer: () => (peer ??= Peer.open(ort, ort.env.versions.web)),
  };
}
