import type { ModelKind } from '../models/family.ts';
import { RequestError } from '../util/errors.ts';

/**
 * What is measured, under llama-bench's names:
 *
 * - `pp512`: a prompt of 512 tokens, until its first token is here; `pp512@d4096`: after 4096 tokens in the cache
 * - `tg128`: 128 tokens one after another; `tg128@d4096`: with 4096 tokens in the cache before them
 * - `enc128`: one text of 128 tokens through an encoder; `enc128x8`: eight at once
 */
export type BenchTest =
  | { readonly kind: 'prefill'; readonly tokens: number; readonly depth: number }
  | {
      readonly kind: 'decode';
      readonly tokens: number;
      readonly depth: number;
      /** Replies at once. */
      readonly streams: number;
    }
  | { readonly kind: 'encode'; readonly tokens: number; readonly texts: number };

/** Names of what is measured unless asked otherwise: llama-bench's, and texts of 128 and 512 tokens, one and eight at once. */
export const DEFAULT_TESTS: Readonly<Record<ModelKind, readonly string[]>> = {
  decoder: ['pp512', 'tg128', 'tg128@d4096'],
  encoder: ['enc128', 'enc128x8', 'enc512', 'enc512x8'],
  seq2seq: ['enc512', 'tg128'],
};

/** What models of each kind can be asked. */
export const KINDS_OF_TESTS: Readonly<Record<ModelKind, readonly BenchTest['kind'][]>> = {
  decoder: ['prefill', 'decode'],
  encoder: ['encode'],
  seq2seq: ['encode', 'decode'],
};

/** Tokens of a prompt or text that take about as long as one decode step. */
const TOKENS_PER_STEP = 16;

/** Largest number of a name that is not a slip of the pen. */
const MOST = 2 ** 24;

/**
 * Reads a name such as `tg128@d4096`, or `tg128@d4096x4` of four streams.
 *
 * @throws {RequestError} if it is none
 */
export function parseTest(name: string): BenchTest {
  const found = /^(pp|tg|enc)([1-9]\d*)(?:@d(\d+))?(?:x([1-9]\d*))?$/.exec(name);
  const [, kind, first, second, third] = found ?? [];
  const [tokens, depth, times] = [Number(first), Number(second ?? 0), Number(third ?? 1)];
  const isSane = Math.max(tokens, depth, times) <= MOST;
  if (isSane && kind === 'pp' && times === 1) return { kind: 'prefill', tokens, depth };
  if (isSane && kind === 'tg' && tokens > 1) {
    return { kind: 'decode', tokens, depth, streams: times };
  }
  if (isSane && kind === 'enc' && second === undefined) {
    return { kind: 'encode', tokens, texts: times };
  }
  throw new RequestError(
    `bench: test is ${JSON.stringify(name)}, expected a name such as pp512, tg128, tg128@d4096, tg128x4 or enc128x8`,
    { param: 'tests' },
  );
}

/** The name of a test. */
export function testName(test: BenchTest): string {
  const times = (count: number): string => (count === 1 ? '' : `x${count}`);
  switch (test.kind) {
    case 'prefill':
      return `pp${test.tokens}${depthName(test.depth)}`;
    case 'decode':
      return `tg${test.tokens}${depthName(test.depth)}${times(test.streams)}`;
    case 'encode':
      return `enc${test.tokens}${times(test.texts)}`;
  }
}

/**
 * The test as far as the context goes: a reply is cut to half of it, and what comes before to the rest.
 *
 * @param contextLength - of a decoder; @param inputLength - of an encoder
 */
export function fitTest(
  test: BenchTest,
  { contextLength, inputLength }: { readonly contextLength: number; readonly inputLength: number },
): BenchTest {
  switch (test.kind) {
    case 'prefill': {
      const tokens = Math.min(test.tokens, contextLength - 1);
      return { ...test, tokens, depth: Math.min(test.depth, contextLength - 1 - tokens) };
    }
    case 'decode': {
      // The prompt has one token at least, and the reply begins with one that is not counted.
      const most = Math.max(2, Math.floor(contextLength / 2));
      const tokens = test.tokens + 2 > contextLength ? Math.min(test.tokens, most) : test.tokens;
      const room = Math.max(0, contextLength - tokens - 1);
      return { ...test, tokens, depth: Math.min(test.depth, room) };
    }
    case 'encode':
      return { ...test, tokens: Math.min(test.tokens, inputLength) };
  }
}

/** Tokens that a test needs in a context. */
export function contextOf(test: BenchTest): number {
  switch (test.kind) {
    case 'prefill':
      return test.depth + test.tokens + 1;
    case 'decode':
      return Math.max(1, test.depth) + test.tokens + 1;
    case 'encode':
      return 0;
  }
}

/** How long one run takes about, in decode steps of one stream: good enough to tell how far a run is. */
export function stepsOf(test: BenchTest): number {
  switch (test.kind) {
    case 'prefill':
      return 1 + test.tokens / TOKENS_PER_STEP;
    case 'decode':
      return test.tokens * (1 + (test.streams - 1) / TOKENS_PER_STEP);
    case 'encode':
      return 1 + (test.tokens * test.texts) / TOKENS_PER_STEP;
  }
}

function depthName(depth: number): string {
  return depth === 0 ? '' : `@d${depth}`;
}
