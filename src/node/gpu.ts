/**
 * WebGPU for Node: Dawn, from the optional peer package `webgpu`, on an adapter chosen by name.
 *
 * Software adapters are Vulkan drivers: lavapipe comes from Mesa and is found by the Vulkan loader itself, SwiftShader
 * ships beside the Chromium and Chrome binaries, where only we know to look.
 *
 * @module
 */
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { hrtime } from 'node:process';
import { setImmediate } from 'node:timers';
import { NoWebGpuError, RequestError } from '../util/errors.ts';
import { describeValue } from '../util/objects.ts';

/**
 * Which adapter to open: `default` is a real GPU where there is one, else lavapipe, else SwiftShader; `null` is
 * Dawn's null backend, which compiles shaders and checks calls but computes nothing.
 */
export type AdapterChoice = 'default' | 'lavapipe' | 'swiftshader' | 'null';

const CHOICES: readonly AdapterChoice[] = ['default', 'lavapipe', 'swiftshader', 'null'];

/** Settings of {@link openGpu}. */
export interface OpenGpuOptions {
  /** Dawn toggles to switch on, e.g. `dump_shaders`. */
  readonly enable?: readonly string[];
}

type Create = (flags: string[]) => GPU;

interface ListedAdapter {
  readonly backend: string;
  readonly name: string;
}

const LAVAPIPE = /llvmpipe|lavapipe/i;
const SWIFTSHADER = /swiftshader/i;
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|basic render/i;
/** One GPU can be listed once per graphics interface; the first of these wins. */
const BACKENDS = ['metal', 'd3d12', 'vulkan', 'd3d11', 'opengl', 'opengles'];

const SWIFTSHADER_FILES = [
  '/usr/lib/chromium',
  '/usr/lib64/chromium-browser',
  '/usr/lib/chromium-browser',
  '/opt/google/chrome',
  '/opt/chromium.org/chromium',
  '/opt/microsoft/msedge',
].map((folder) => `${folder}/vk_swiftshader_icd.json`);

/** The first nap of the event loop after it did something, in milliseconds, and how naps grow while it only waits. */
const NAPS = { firstMs: 0.1, growth: 1.15, longestMs: 2 };
/** A turn of the event loop that took longer, in nanoseconds, did more than look for what is done. */
const WAITING_TURN_NS = 50_000n;

/**
 * One per set of flags, kept for as long as the process lives, also when this module itself is collected: Dawn looks for
 * events of an instance from timers of its own, and crashes where it has been garbage-collected.
 */
const instances = instancesOfProcess();
let dawn: Promise<typeof import('webgpu')> | undefined;
let adapters: Promise<readonly ListedAdapter[]> | undefined;

/**
 * Opens WebGPU on the chosen adapter and installs the WebGPU globals (`GPUBufferUsage`, ...) on `globalThis`.
 *
 * Several choices can be open in one process; the same choice gives the same object.
 *
 * @throws {NoWebGpuError} if the package `webgpu` or the adapter is missing; the message says how to get it
 * @throws {RequestError} if there is no such choice
 */
export async function openGpu(
  choice: AdapterChoice = 'default',
  options: OpenGpuOptions = {},
): Promise<GPU> {
  if (!CHOICES.includes(choice)) {
    throw new RequestError(
      `openGpu: ${describeValue(choice)}, expected one of: ${CHOICES.join(', ')}`,
    );
  }
  prepareEnvironment();
  dawn ??= loadDawn();
  const { create } = await dawn;
  const toggles =
    options.enable === undefined || options.enable.length === 0
      ? []
      : [`enable-dawn-features=${options.enable.join(',')}`];
  if (choice === 'null') return instance(create, ['backend=null', ...toggles]);

  adapters ??= listAdapters(create);
  const listed = await adapters;
  const adapter = pick(choice, listed);
  if (adapter === undefined) throw missing(choice, listed);
  if (SOFTWARE.test(adapter.name)) leaveCores();
  return instance(create, [`backend=${adapter.backend}`, `adapter=${adapter.name}`, ...toggles]);
}

let leavesCores = false;

/**
 * While Dawn waits for anything it looks for it in every turn of the event loop, without a pause: a core is lost to it, which
 * a software adapter computes with. So the loop naps in every turn, the longer the longer it has waited: what takes long is
 * found a seventh of its time late at most. Where nothing is waited for, there are no turns.
 */
function leaveCores(): void {
  if (leavesCores) return;
  leavesCores = true;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  let napMs = NAPS.firstMs;
  let wokenNs = 0n;
  const nap = (): void => {
    const hasWaited = hrtime.bigint() - wokenNs < WAITING_TURN_NS;
    napMs = hasWaited ? Math.min(napMs * NAPS.growth, NAPS.longestMs) : NAPS.firstMs;
    Atomics.wait(cell, 0, 0, napMs);
    wokenNs = hrtime.bigint();
    setImmediate(nap).unref();
  };
  setImmediate(nap).unref();
}

function instance(create: Create, flags: string[]): GPU {
  const key = flags.join('\n');
  const gpu = instances.get(key) ?? create(flags);
  instances.set(key, gpu);
  return gpu;
}

function instancesOfProcess(): Map<string, GPU> {
  const key = Symbol.for('quern.gpu.instances');
  const known: unknown = Reflect.get(globalThis, key);
  if (known instanceof Map) return known;
  const made = new Map<string, GPU>();
  Reflect.set(globalThis, key, made);
  return made;
}

/** The Vulkan loader reads these when an instance is created, so they must be set before any. */
function prepareEnvironment(): void {
  const { env } = process;
  if (process.platform !== 'linux') return;
  if (env['XDG_RUNTIME_DIR'] === undefined) {
    const folder = join(tmpdir(), `quern-runtime-${process.getuid?.() ?? 0}`);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    env['XDG_RUNTIME_DIR'] = folder;
  }
  const swiftshader = SWIFTSHADER_FILES.find((file) => existsSync(file));
  if (swiftshader === undefined) return;
  // The loader ignores VK_ADD_DRIVER_FILES where the user named the drivers, so there we add to the user's list.
  const variable =
    ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'].find((name) => env[name] !== undefined) ??
    'VK_ADD_DRIVER_FILES';
  const files = (env[variable] ?? '').split(delimiter).filter((file) => file !== '');
  if (!files.some((file) => SWIFTSHADER.test(file))) {
    env[variable] = [...files, swiftshader].join(delimiter);
  }
}

async function loadDawn(): Promise<typeof import('webgpu')> {
  let loaded: typeof import('webgpu');
  try {
    loaded = await import('webgpu');
  } catch (cause) {
    throw new NoWebGpuError(
      `node: the package "webgpu" could not be loaded (${String(cause)}); install it with: npm install webgpu`,
      { cause },
    );
  }
  Object.assign(globalThis, loaded.globals);
  return loaded;
}

/** Dawn lists its adapters only in the error for a name that does not exist. */
async function listAdapters(create: Create): Promise<readonly ListedAdapter[]> {
  try {
    await instance(create, ['adapter=a name no adapter has']).requestAdapter();
    return [];
  } catch (error) {
    const lines = String(error).matchAll(/backend: '([^']*)', name: '(.*)'/g);
    return Array.from(lines, ([, backend = '', name = '']) => ({ backend, name }));
  }
}

function pick(
  choice: Exclude<AdapterChoice, 'null'>,
  listed: readonly ListedAdapter[],
): ListedAdapter | undefined {
  const lavapipe = listed.find(({ name }) => LAVAPIPE.test(name));
  const swiftshader = listed.find(({ name }) => SWIFTSHADER.test(name));
  if (choice === 'lavapipe') return lavapipe;
  if (choice === 'swiftshader') return swiftshader;
  const real = BACKENDS.flatMap((backend) =>
    listed.filter((adapter) => adapter.backend === backend && !SOFTWARE.test(adapter.name)),
  );
  return real[0] ?? lavapipe ?? swiftshader;
}

function missing(
  choice: Exclude<AdapterChoice, 'null'>,
  listed: readonly ListedAdapter[],
): NoWebGpuError {
  const found =
    listed.length === 0
      ? 'found none'
      : `found only ${listed.map(({ name, backend }) => `${name} (${backend})`).join(', ')}`;
  const lavapipe =
    'lavapipe 25 or newer (Debian and Ubuntu: apt install libvulkan1 mesa-vulkan-drivers, on Debian 12 from bookworm-backports)';
  const swiftshader =
    'SwiftShader (comes with Chromium and Chrome; Debian: apt install libvulkan1 chromium)';
  const wanted = {
    lavapipe,
    swiftshader,
    default: `a GPU with a Vulkan, Metal or D3D driver, or ${lavapipe}, or ${swiftshader}`,
  }[choice];
  return new NoWebGpuError(`node: no WebGPU adapter for "${choice}": ${found}, expected ${wanted}`);
}
