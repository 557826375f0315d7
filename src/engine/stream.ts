/**
 * Values that arrive over time, for one consumer: `for await` over it, or call `next`. Leaving the loop early
 * cancels whatever produces them.
 */
export class Stream<T> implements AsyncIterableIterator<T> {
  readonly #onCancel: () => void;
  readonly #values: T[] = [];
  #waiting: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void }[] =
    [];
  #end: { readonly error: unknown } | 'done' | undefined;

  /** @param onCancel - called once if the consumer stops before the end */
  constructor(onCancel: () => void) {
    this.#onCancel = onCancel;
  }

  push(value: T): void {
    if (this.#end !== undefined) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#values.push(value);
    else waiting.resolve({ value, done: false });
  }

  /** Ends the stream after the values pushed so far. */
  end(): void {
    this.#close('done');
  }

  /** Ends the stream with an error, after the values pushed so far. */
  fail(error: unknown): void {
    this.#close({ error });
  }

  next(): Promise<IteratorResult<T>> {
    const [value] = this.#values;
    if (this.#values.length > 0 && value !== undefined) {
      this.#values.shift();
      return Promise.resolve({ value, done: false });
    }
    if (this.#end === undefined) {
      return new Promise((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
      });
    }
    if (this.#end === 'done') return Promise.resolve({ value: undefined, done: true });
    const { error } = this.#end;
    this.#end = 'done';
    // The reason of an abort can be anything.
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors
    return Promise.reject(error);
  }

  return(): Promise<IteratorResult<T>> {
    this.#values.length = 0;
    const isOpen = this.#end === undefined;
    // Before the producer hears of it: what it says of the end is nothing to those who still wait.
    this.#close('done');
    this.#end = 'done'; // an error that nobody asked for is dropped
    if (isOpen) this.#onCancel();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #close(end: { readonly error: unknown } | 'done'): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    const waiting = this.#waiting;
    this.#waiting = [];
    // Only the first hears of an error, as from any iterator.
    for (const { resolve, reject } of waiting) this.next().then(resolve, reject);
  }
}
