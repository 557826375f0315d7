import { isRecord } from '../util/objects.ts';
import type { DeviceFacts } from './facts.ts';

/** What checks on an adapter have found. */
export interface AdapterRecord {
  /** Checks that found nothing wrong. */
  readonly passed: readonly string[];
  readonly dropped: readonly DroppedKernel[];
}

/** A kernel or library that an adapter gets wrong. */
export interface DroppedKernel {
  readonly variant: string;
  /** Largest difference from the plain kernel, relative to its largest value; NaN if they cannot be compared. */
  readonly error: number;
  readonly reason: string;
}

const CACHE = 'quern-adapters';
/** The Cache API wants http addresses; this one exists nowhere. */
const PLACE = 'https://quern.invalid/';

/** What this thread knows, with or without the Cache API, as JSON. */
const memory = new Map<string, string>();

/** What was measured to be fastest on an adapter: a variant's name by what it was chosen for. */
export type TuningRecord = ReadonlyMap<string, string>;

/**
 * What was found on this adapter with this browser and these shaders, by an earlier load of this thread or, where the
 * Cache API works (secure contexts, not every private window, not Node), of this origin. Never rejects.
 *
 * @param version - of the shaders: what was found with another is forgotten
 */
export async function recallAdapter(
  facts: DeviceFacts,
  version: number,
): Promise<AdapterRecord | undefined> {
  return parseChecks(await recall(keyOf('checks', facts), version));
}

/** Keeps what was found on this adapter, in place of what was known. Never rejects. */
export async function rememberAdapter(
  facts: DeviceFacts,
  version: number,
  { passed, dropped }: AdapterRecord,
): Promise<void> {
  await remember(keyOf('checks', facts), { version, passed, dropped });
}

/** As {@link recallAdapter}: what was measured; nothing if nothing was. */
export async function recallTuning(facts: DeviceFacts, version: number): Promise<TuningRecord> {
  const json = await recall(keyOf('tuning', facts), version);
  const tuned = isRecord(json?.['tuned']) ? json['tuned'] : {};
  return new Map(
    Object.entries(tuned).filter((entry): entry is [string, string] => isString(entry[1])),
  );
}

/** As {@link rememberAdapter}: what was measured, in place of what was known. */
export async function rememberTuning(
  facts: DeviceFacts,
  version: number,
  tuned: TuningRecord,
): Promise<void> {
  await remember(keyOf('tuning', facts), { version, tuned: Object.fromEntries(tuned) });
}

async function recall(
  key: string,
  version: number,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  let text = memory.get(key);
  if (text === undefined) {
    const found = await withCache((cache) => cache.match(key));
    text = await found?.text().catch(() => undefined);
  }
  return text === undefined ? undefined : parse(text, version);
}

async function remember(key: string, record: Readonly<Record<string, unknown>>): Promise<void> {
  const text = JSON.stringify(record);
  memory.set(key, text);
  await withCache((cache) => cache.put(key, new Response(text)));
}

/** The shader compiler comes with the browser, so its version is part of what was found. */
function keyOf(
  what: 'checks' | 'tuning',
  { vendor, architecture, device, description, hasDot4 }: DeviceFacts,
): string {
  const browser = globalThis.navigator?.userAgent ?? '';
  const wishes = hasDot4 ? ['integers'] : [];
  const names = [what, vendor, architecture, device, description, browser, ...wishes];
  return PLACE + names.map((name) => encodeURIComponent(name)).join('/');
}

/** Storage may be missing, forbidden or full: then there is none. */
async function withCache<T>(use: (cache: Cache) => Promise<T>): Promise<T | undefined> {
  try {
    return await use(await caches.open(CACHE));
  } catch {
    return undefined;
  }
}

/** @returns undefined for a record of another version, and for one that is damaged */
function parse(text: string, version: number): Readonly<Record<string, unknown>> | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isRecord(json) && json['version'] === version ? json : undefined;
}

function parseChecks(
  json: Readonly<Record<string, unknown>> | undefined,
): AdapterRecord | undefined {
  const { passed, dropped } = json ?? {};
  if (!isList(passed, isString) || !isList(dropped, isDropped)) return undefined;
  // NaN is null in JSON.
  return { passed, dropped: dropped.map((kernel) => ({ ...kernel, error: kernel.error ?? NaN })) };
}

function isList<T>(value: unknown, isItem: (item: unknown) => item is T): value is readonly T[] {
  return Array.isArray(value) && value.every(isItem);
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function isDropped(
  value: unknown,
): value is Omit<DroppedKernel, 'error'> & { readonly error: number | null } {
  return (
    isRecord(value) &&
    isString(value['variant']) &&
    isString(value['reason']) &&
    (typeof value['error'] === 'number' || value['error'] === null)
  );
}
