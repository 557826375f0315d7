/** What GPU memory is spent on. */
export const PURPOSES = ['weights', 'kv', 'scratch', 'state', 'readback'] as const;
export type Purpose = (typeof PURPOSES)[number];

/** Bytes of GPU buffers alive, by purpose. */
export class MemoryLedger {
  readonly #bytes = new Map<Purpose, number>();

  add(purpose: Purpose, bytes: number): void {
    this.#bytes.set(purpose, (this.#bytes.get(purpose) ?? 0) + bytes);
  }

  /** Forgets everything: the device and all its buffers are gone. */
  clear(): void {
    this.#bytes.clear();
  }

  /** Bytes alive for each purpose, and their `total`. */
  report(): Readonly<Record<Purpose | 'total', number>> {
    const of = (purpose: Purpose): number => this.#bytes.get(purpose) ?? 0;
    return {
      weights: of('weights'),
      kv: of('kv'),
      scratch: of('scratch'),
      state: of('state'),
      readback: of('readback'),
      total: PURPOSES.reduce((sum, purpose) => sum + of(purpose), 0),
    };
  }
}
