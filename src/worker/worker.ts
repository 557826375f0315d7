/**
 * Script of a worker or a shared worker: engines for the pages that connect to it.
 *
 * @module
 */
import { LocalEngine } from '../engine/engine.ts';
import { holdLock } from './lifetime.ts';
import { EnginePool } from './pool.ts';
import { CONNECT } from './protocol.ts';
import { serve } from './server.ts';

const lock = holdLock();
const pool = new EnginePool((from, options) => LocalEngine.load(from, options));

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
