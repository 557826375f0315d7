/** Counts what an engine asks of its GPU device, by listening in on the device itself. @module */
import { listen, watchDevices } from './watch_gpu.ts';

/** Calls since counting began. */
export interface Calls {
  dispatches: number;
  passes: number;
  /** Of work: an empty one only has a browser look for what is done. */
  submits: number;
  /** `mapAsync` calls: each is one wait for the GPU. */
  readbacks: number;
  buffers: number;
  bindGroups: number;
  pipelines: number;
  shaderModules: number;
}

/** Device calls that create an object, besides buffers. */
const CREATIONS: Readonly<Record<string, keyof Calls>> = {
  createBindGroup: 'bindGroups',
  createComputePipeline: 'pipelines',
  createComputePipelineAsync: 'pipelines',
  createShaderModule: 'shaderModules',
};

/**
 * A `GPU` whose devices count their calls.
 *
 * @param gpu - the one to wrap; it is left as it is, its adapters and devices are not
 * @returns `calls` is live: copy it to compare two moments
 */
export function countCalls(gpu: GPU): { readonly gpu: GPU; readonly calls: Readonly<Calls> } {
  const calls: Calls = {
    dispatches: 0,
    passes: 0,
    submits: 0,
    readbacks: 0,
    buffers: 0,
    bindGroups: 0,
    pipelines: 0,
    shaderModules: 0,
  };
  return { gpu: watchDevices(gpu, (device) => countDevice(device, calls)), calls };
}

/** `after` minus `before`, divided by `per`. */
export function callsPer(
  before: Readonly<Calls>,
  after: Readonly<Calls>,
  per: number,
): Readonly<Calls> {
  const of = (name: keyof Calls): number => (after[name] - before[name]) / per;
  return {
    dispatches: of('dispatches'),
    passes: of('passes'),
    submits: of('submits'),
    readbacks: of('readbacks'),
    buffers: of('buffers'),
    bindGroups: of('bindGroups'),
    pipelines: of('pipelines'),
    shaderModules: of('shaderModules'),
  };
}

function countDevice(device: object, calls: Calls): void {
  const count =
    (name: keyof Calls) =>
    (result: unknown): unknown => {
      calls[name] += 1;
      return result;
    };
  for (const [method, name] of Object.entries(CREATIONS)) listen(device, method, count(name));
  listen(device, 'createBuffer', (buffer) => {
    listen(buffer, 'mapAsync', count('readbacks'));
    return count('buffers')(buffer);
  });
  listen(device, 'createCommandEncoder', (encoder) => {
    listen(encoder, 'beginComputePass', (pass) => {
      listen(pass, 'dispatchWorkgroups', count('dispatches'));
      listen(pass, 'dispatchWorkgroupsIndirect', count('dispatches'));
      return count('passes')(pass);
    });
    return encoder;
  });
  listen(Reflect.get(device, 'queue'), 'submit', (result, [work]) => {
    const isEmpty = Array.isArray(work) && work.length === 0;
    return isEmpty ? result : count('submits')(result);
  });
}
