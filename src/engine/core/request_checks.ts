/**
 * Refuses requests that could never run, so that whatever waits runs to its end once it is alone.
 *
 * @module
 */

import { RequestError } from '../../util/errors.ts';
import type { KvCacheManager } from './kv_cache_manager.ts';
import type { BeamOptions, RequestOptions } from './request.ts';
import { checkCount, type SchedulerOptions } from './scheduler_options.ts';

/**
 * Checks a request and finds the length at which it ends: its last token needs no place in the cache, because nothing
 * is computed from it.
 *
 * @returns its `maxLength`
 * @throws RequestError when a number is out of range, or the prompt and the encoder input do not fit
 */
export function checkRequest(
  options: RequestOptions,
  limits: SchedulerOptions,
  kv: KvCacheManager,
): number {
  checkFields(options, limits);
  const { prompt, encoderInput, maxTokens = Infinity } = options;
  const capacity = kv.capacityBeside(kv.blocksOf(encoderInput?.length ?? 0));
  if (prompt.length > capacity) {
    const beside =
      encoderInput === undefined ? '' : ` beside an encoder input of ${encoderInput.length}`;
    throw new RequestError(
      `request: the prompt has ${prompt.length} tokens, the KV cache holds ${capacity}${beside}; ` +
        `shorten ${encoderInput === undefined ? 'it' : 'one of them'} or load the model with more kvTokens`,
      { param: 'prompt' },
    );
  }
  return Math.min(prompt.length + maxTokens, capacity + 1);
}

/** Length at which each of `numBeams` sequences beside one encoder input ends at the latest. */
export function longestBeside(
  numEncoderTokens: number,
  numBeams: number,
  { contextLength, numBlocks, pageSize }: SchedulerOptions,
  kv: KvCacheManager,
): number {
  const crossBlocks = kv.blocksOf(numEncoderTokens);
  if (numBeams === 1) return kv.capacityBeside(crossBlocks) + 1;
  const blocks = Math.floor(Math.max(0, numBlocks - crossBlocks) / numBeams);
  return Math.min(contextLength, blocks * pageSize) + 1;
}

/**
 * Checks the beams of a search, of which each must have a place for all its tokens.
 *
 * @returns their `maxLength`
 * @throws RequestError when a number is out of range, or the beams do not fit
 */
export function checkBeams(
  options: BeamOptions,
  numBeams: number,
  limits: SchedulerOptions,
  kv: KvCacheManager,
): number {
  checkFields(options, limits);
  checkCount('request', 'numBeams', numBeams);
  const { prompt, encoderInput, maxTokens = Infinity } = options;
  const { maxSequences, contextLength, numBlocks, pageSize, window } = limits;
  if (window !== undefined) {
    throw new RequestError(
      `request: numBeams is ${numBeams}, but the model has a sliding window, which beams cannot share; use sampling`,
      { param: 'num_beams' },
    );
  }
  if (numBeams > maxSequences) {
    throw new RequestError(
      `request: numBeams is ${numBeams}, but at most ${maxSequences} sequences run at once; use fewer or raise maxSequences`,
      { param: 'num_beams' },
    );
  }
  const maxLength = Math.min(prompt.length + maxTokens, contextLength + 1);
  const crossBlocks = kv.blocksOf(encoderInput?.length ?? 0);
  const beamBlocks = kv.blocksOf(maxLength - 1);
  const room = numBlocks - crossBlocks;
  if (numBeams * beamBlocks > room) {
    const fits = Math.floor(Math.max(0, room) / numBeams) * pageSize + 1 - prompt.length;
    const advice =
      fits > 0 ? `ask for at most ${fits} tokens, use fewer beams` : 'use fewer beams, shorten it';
    throw new RequestError(
      `request: ${numBeams} beams of ${prompt.length} tokens and up to ${maxLength - prompt.length} more need ` +
        `${numBeams} times ${beamBlocks} pages and ${crossBlocks} for the encoder's output, ` +
        `the KV cache has ${numBlocks}; ${advice} or load the model with more kvTokens`,
      { param: 'num_beams' },
    );
  }
  return maxLength;
}

function checkFields(options: RequestOptions, limits: SchedulerOptions): void {
  const { prompt, maxTokens = Infinity, cacheSalt = 0, cacheLimit = Infinity } = options;
  if (maxTokens !== Infinity) {
    checkCount('request', 'maxTokens', maxTokens);
  }
  if (!Number.isSafeInteger(cacheSalt) || !(cacheLimit >= 0)) {
    throw new RequestError(
      `request: cacheSalt is ${cacheSalt} and cacheLimit ${cacheLimit}, expected an integer and a number from 0`,
    );
  }
  if (prompt.length === 0) {
    throw new RequestError('request: the prompt is empty, expected at least one token', {
      param: 'prompt',
    });
  }
  if (prompt.length > limits.contextLength) {
    throw new RequestError(
      `request: the prompt has ${prompt.length} tokens, the context holds ${limits.contextLength}; shorten it`,
      { param: 'prompt' },
    );
  }
  checkEncoderInput(options.encoderInput, limits.maxEncoderInput);
}

function checkEncoderInput(
  encoderInput: readonly number[] | undefined,
  maxEncoderInput: number | undefined,
): void {
  const length = encoderInput?.length ?? 0;
  const param = 'encoderInput';
  if (maxEncoderInput === undefined && encoderInput !== undefined) {
    throw new RequestError(
      `request: there is an encoder input of ${length} tokens, but the model has no encoder; leave it out`,
      { param },
    );
  }
  if (maxEncoderInput !== undefined && (length < 1 || length > maxEncoderInput)) {
    throw new RequestError(
      `request: the encoder input has ${length} tokens, expected 1 to ${maxEncoderInput}` +
        (length > maxEncoderInput ? '; shorten it' : ''),
      { param },
    );
  }
}
