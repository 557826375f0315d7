import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import type { BenchReport } from '../../../src/bench/index.ts';
import { newId } from '../../state/id.ts';
import { nameOf } from './naming.ts';

/** Reports that were measured, read from a file or opened from a link together. */
export interface BenchRecord {
  readonly id: string;
  readonly name: string;
  /** When it came here, in milliseconds since 1970. */
  readonly createdAt: number;
  readonly origin: 'measured' | 'imported' | 'shared';
  readonly reports: readonly BenchReport[];
  /** When it was deleted; it is gone for good {@link UNDO_MS} later. */
  readonly deletedAt?: number;
}

/** How long a deleted record can be had back, in milliseconds. */
export const UNDO_MS = 10_000;

interface Schema extends DBSchema {
  readonly records: { readonly key: string; readonly value: BenchRecord };
}

const VERSION = 1;

/** Makes a record that is not stored. */
export function newRecord(
  reports: readonly BenchReport[],
  origin: BenchRecord['origin'],
  name: string = nameOf(reports),
): BenchRecord {
  return { id: newId(), name, createdAt: Date.now(), origin, reports };
}

/**
 * Keeps records in IndexedDB, and in memory where that cannot be had: `trouble` says so. Nothing here rejects for want of
 * storage, and what could not be written is tried again with the next change. Other tabs hear of every change.
 */
export class RecordStore {
  readonly #name: string;
  readonly #records = signal<ReadonlyMap<string, BenchRecord>>(new Map());
  readonly #trouble = signal<string | undefined>(undefined);
  readonly #purges = new Set<ReturnType<typeof setTimeout>>();
  readonly #tabs: BroadcastChannel | undefined;
  /** Ids of records that are not on the disk as they are here. */
  readonly #changed = new Set<string>();
  #database: IDBPDatabase<Schema> | undefined;
  #writing: Promise<void>;

  /** Not deleted ones, the latest first. */
  readonly list: ReadonlySignal<readonly BenchRecord[]> = computed(() =>
    [...this.#records.value.values()]
      .filter(({ deletedAt }) => deletedAt === undefined)
      .sort((a, b) => b.createdAt - a.createdAt),
  );
  /** Why records are kept only until the page is closed; undefined if they are kept. */
  readonly trouble: ReadonlySignal<string | undefined> = this.#trouble;
  /** When the list is complete, or cannot be had; never rejects. */
  readonly ready: Promise<void>;

  /** @param name - of the database */
  constructor(name = 'quern-bench') {
    this.#name = name;
    this.#tabs = 'BroadcastChannel' in globalThis ? new BroadcastChannel(name) : undefined;
    this.#tabs?.addEventListener('message', () => void this.#reload());
    this.ready = this.#open();
    this.#writing = this.ready;
  }

  /** The record of the same reports, if there is one. */
  find(reports: readonly BenchReport[]): BenchRecord | undefined {
    const text = JSON.stringify(reports);
    return this.list.peek().find((record) => JSON.stringify(record.reports) === text);
  }

  /** Takes in reports as a record. */
  add(
    reports: readonly BenchReport[],
    origin: BenchRecord['origin'],
    name: string = nameOf(reports),
  ): BenchRecord {
    return this.keep(newRecord(reports, origin, name));
  }

  /** Takes in a record that was not stored. */
  keep(record: BenchRecord): BenchRecord {
    this.#put([record]);
    return record;
  }

  /** Gives a record a name of the user's. */
  rename(id: string, name: string): void {
    this.#put(this.#present([id]).map((record) => ({ ...record, name })));
  }

  /** Deletes records; for {@link UNDO_MS}, `restore` brings them back. */
  delete(ids: readonly string[]): void {
    const deletedAt = Date.now();
    this.#put(this.#present(ids).map((record) => ({ ...record, deletedAt })));
    for (const id of ids) this.#purgeLater(id, UNDO_MS);
  }

  /** Brings back what was deleted, if it is not too late. */
  restore(ids: readonly string[]): void {
    this.#put(this.#present(ids).map(undeleted));
  }

  /** When all changes are written, or could not be; never rejects. */
  flush(): Promise<void> {
    return this.#writing;
  }

  /** Writes everything and lets go of the database. */
  async close(): Promise<void> {
    await this.flush();
    for (const timer of this.#purges) clearTimeout(timer);
    this.#tabs?.close();
    this.#database?.close();
    this.#database = undefined;
  }

  async #open(): Promise<void> {
    try {
      const database = await openDB<Schema>(this.#name, VERSION, {
        upgrade(db) {
          db.createObjectStore('records', { keyPath: 'id' });
        },
        blocking: () => {
          // Holding on would keep a newer page waiting.
          this.#lose('a newer version of the page is open in another tab; reload this one');
          database.close();
        },
        terminated: () => this.#lose('the browser has closed its storage'),
      });
      this.#database = database;
      await this.#reload();
      for (const { id, deletedAt } of this.#records.peek().values()) {
        if (deletedAt !== undefined) this.#purgeLater(id, deletedAt + UNDO_MS - Date.now());
      }
    } catch (error) {
      this.#lose(whyNot(error));
    }
  }

  /** Takes in what is on the disk, without what was changed here meanwhile. */
  async #reload(): Promise<void> {
    try {
      const stored = await this.#database?.getAll('records');
      if (stored === undefined) return;
      const here = this.#records.peek();
      // Reports never change: those that are shown stay the same objects.
      const map = new Map(
        stored.map((record) => [
          record.id,
          { ...record, reports: here.get(record.id)?.reports ?? record.reports },
        ]),
      );
      for (const id of this.#changed) {
        const record = here.get(id);
        if (record === undefined) map.delete(id);
        else map.set(id, record);
      }
      this.#records.value = map;
    } catch (error) {
      this.#trouble.value = whyNot(error);
    }
  }

  #put(records: readonly BenchRecord[]): void {
    const map = new Map(this.#records.peek());
    for (const record of records) map.set(record.id, record);
    this.#replace(
      map,
      records.map(({ id }) => id),
    );
  }

  #replace(map: ReadonlyMap<string, BenchRecord>, changed: readonly string[]): void {
    this.#records.value = map;
    for (const id of changed) this.#changed.add(id);
    this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    if (this.#database === undefined || this.#changed.size === 0) return;
    const ids = [...this.#changed];
    this.#changed.clear();
    try {
      const transaction = this.#database.transaction('records', 'readwrite');
      const records = this.#records.peek();
      const writes = ids.map((id): Promise<unknown> => {
        const record = records.get(id);
        return record === undefined ? transaction.store.delete(id) : transaction.store.put(record);
      });
      await Promise.all([...writes, transaction.done]);
      this.#trouble.value = undefined;
      this.#tabs?.postMessage('changed');
    } catch (error) {
      for (const id of ids) this.#changed.add(id);
      this.#trouble.value = whyNot(error);
    }
  }

  #present(ids: readonly string[]): readonly BenchRecord[] {
    return ids.map((id) => this.#records.peek().get(id)).filter((record) => record !== undefined);
  }

  #purgeLater(id: string, delayMs: number): void {
    const timer = setTimeout(
      () => {
        this.#purges.delete(timer);
        const deletedAt = this.#records.peek().get(id)?.deletedAt;
        // Brought back, and perhaps deleted again meanwhile.
        if (deletedAt === undefined || deletedAt + UNDO_MS > Date.now()) return;
        const map = new Map(this.#records.peek());
        map.delete(id);
        this.#replace(map, [id]);
      },
      Math.max(0, delayMs),
    );
    this.#purges.add(timer);
  }

  #lose(why: string): void {
    this.#database = undefined;
    this.#trouble.value = why;
  }
}

function undeleted(record: BenchRecord): BenchRecord {
  const { deletedAt: _, ...rest } = record;
  return rest;
}

function whyNot(error: unknown): string {
  const name = error instanceof Error ? error.name : '';
  const factory: IDBFactory | undefined = globalThis.indexedDB;
  // Storage forbidden by the user: SecurityError; Firefox in some private windows: InvalidStateError.
  if (factory === undefined || ['InvalidStateError', 'SecurityError'].includes(name)) {
    return 'the browser gives it no storage, as in some private windows';
  }
  if (name === 'QuotaExceededError') return 'the browser’s storage is full; delete old runs';
  // An older page after a newer one: https://w3c.github.io/IndexedDB/#open-a-database-connection
  if (name === 'VersionError') return 'a newer version of the page has been here; reload this one';
  return 'the browser’s storage failed';
}
