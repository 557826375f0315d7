/**
 * Script of a worker or a shared worker: models for the pages that connect to it.
 *
 * All kinds are imported at once, for Vite up to version 7 refuses to build a worker with an `import()` in it.
 *
 * @module
 */
import { LocalEncoder } from '../engine/encoder.ts';
import { LocalEngine } from '../engine/engine.ts';
import { LocalSeq2Seq } from '../engine/seq2seq.ts';
import { holdLock } from './lifetime.ts';
import { ModelPool } from './pool.ts';
import { CONNECT } from './protocol.ts';
import { serve } from './server.ts';

const lock = holdLock();
const pool = new ModelPool({
  engine: (from, options) => LocalEngine.load(from, options),
  encoder: (from, options) => LocalEncoder.load(from, options),
  seq2seq: (from, options) => LocalSeq2Seq.load(from, options),
});

// Only a shared worker hears of connections, only a dedicated one has messages of its own.
globalThis.addEventListener('connect', (event) => {
  if (event instanceof MessageEvent) accept(event, true);
});
globalThis.addEventListener('message', (event) => {
  if (event.data === CONNECT) accept(event, false);
});

function accept({ ports: [port] }: MessageEvent, isShared: boolean): void {
  if (port !== undefined) serve(port, { isShared, pool, lock });
}
