import { ConfigError, RequestError, type QuernError } from '../util/errors.ts';
import { describeValue } from '../util/objects.ts';

type Json = Readonly<Record<string, unknown>>;

/** Makes the error for a value that is not what its key is for. */
export type WrongValue = (key: string, value: unknown, expected: string) => QuernError;

/** Blames a file of the model. */
export function wrongIn(file: string): WrongValue {
  return (key, value, expected) =>
    new ConfigError(`${file}: "${key}" is ${JSON.stringify(value)}, expected ${expected}`, { key });
}

/** Blames a request. */
export const wrongInRequest: WrongValue = (key, value, expected) =>
  new RequestError(`request: ${key} is ${describeValue(value)}, expected ${expected}`, {
    param: key,
  });

/** Reads options by their keys, wherever they come from. Null counts as absent, as in Transformers. */
export class OptionReader {
  readonly #json: Json;
  readonly #wrong: WrongValue;

  constructor(json: Json, wrong: WrongValue) {
    this.#json = json;
    this.#wrong = wrong;
  }

  raw(key: string): unknown {
    return this.#json[key] ?? undefined;
  }

  /** A value that `isValid` accepts, undefined if absent. */
  read<T>(key: string, isValid: (value: unknown) => value is T, expected: string): T | undefined {
    const value = this.raw(key);
    if (value === undefined || isValid(value)) return value;
    throw this.#wrong(key, value, expected);
  }

  number(key: string, min: number, max: number): number | undefined {
    return this.read(key, isWithin(min, max), `a number from ${min} to ${max}`);
  }

  integer(key: string, min: number, max: number): number | undefined {
    const isIn = isWithin(min, max);
    const isInteger = (value: unknown): value is number =>
      Number.isSafeInteger(value) && isIn(value);
    return this.read(key, isInteger, `an integer from ${min} to ${max}`);
  }

  /** An integer of 0 or more. */
  count(key: string): number | undefined {
    return this.read(key, isCount, 'an integer of 0 or more');
  }

  flag(key: string): boolean | undefined {
    const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';
    return this.read(key, isFlag, 'true or false');
  }

  /** A token id. */
  id(key: string, vocab: number): number | undefined {
    return this.read(key, isIdOf(vocab), `a token id ${rangeOf(vocab)}`);
  }

  ids(key: string, vocab: number): readonly number[] | undefined {
    return this.read(key, isListOf(isIdOf(vocab)), `a list of token ids ${rangeOf(vocab)}`);
  }

  /** One id or a list of them; which ids there are is not looked at. */
  idOrIds(key: string): readonly number[] | undefined {
    const isEither = (value: unknown): value is number | readonly number[] =>
      isCount(value) || isListOf(isCount)(value);
    const value = this.read(key, isEither, 'a token id or a list of them');
    return typeof value === 'number' ? [value] : value;
  }

  idLists(key: string, vocab: number): readonly (readonly number[])[] | undefined {
    const expected = `a list of lists of token ids ${rangeOf(vocab)}`;
    return this.read(key, isListOf(isListOf(isIdOf(vocab))), expected);
  }
}

type Guard<T> = (value: unknown) => value is T;

function isWithin(min: number, max: number): Guard<number> {
  return (value): value is number => typeof value === 'number' && value >= min && value <= max;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isIdOf(vocab: number): Guard<number> {
  return (value): value is number => isCount(value) && value < vocab;
}

function isListOf<T>(isOne: Guard<T>): Guard<readonly T[]> {
  return (value): value is readonly T[] => Array.isArray(value) && [...value].every(isOne); // `every` skips holes
}

function rangeOf(vocab: number): string {
  return `from 0 to ${vocab - 1}`;
}
