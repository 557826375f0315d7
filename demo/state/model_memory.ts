import { type DBSchema, openDB } from 'idb';
import { isSameChoice } from './model_choice.ts';
import type { ModelChoice } from './types.ts';

/** Models that are remembered. */
const MAX_REMEMBERED = 6;

interface Schema extends DBSchema {
  readonly models: { readonly key: 'recent'; readonly value: readonly ModelChoice[] };
}

/**
 * The models used last, the latest first. In IndexedDB, which can hold handles of folders; where it is missing the
 * page forgets. Files that were picked one by one cannot be had again and are not kept.
 */
export class ModelMemory {
  readonly #name: string;

  /** @param name - of the database */
  constructor(name = 'quern-models') {
    this.#name = name;
  }

  /** Never rejects. */
  async recall(): Promise<readonly ModelChoice[]> {
    try {
      const db = await this.#open();
      const recent = await db.get('models', 'recent');
      db.close();
      return recent ?? [];
    } catch {
      return [];
    }
  }

  /** Puts a model first. Never rejects. */
  async remember(choice: ModelChoice): Promise<void> {
    if (choice.kind === 'files') return;
    const recent: ModelChoice[] = [choice];
    for (const old of await this.recall()) {
      if (!(await isSameChoice(old, choice))) recent.push(old);
    }
    try {
      const db = await this.#open();
      await db.put('models', recent.slice(0, MAX_REMEMBERED), 'recent');
      db.close();
    } catch {
      // Forgotten, as said above.
    }
  }

  #open(): ReturnType<typeof openDB<Schema>> {
    return openDB<Schema>(this.#name, 1, {
      upgrade(db) {
        db.createObjectStore('models');
      },
    });
  }
}
