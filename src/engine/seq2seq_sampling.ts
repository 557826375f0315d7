import {
  dependsOnTokens,
  tokenRules,
  type RuledRequest,
  type TokenRuleSettings,
} from './core/token_rules.ts';
import { GREEDY, type SamplingParams } from './core/sampling.ts';
import type { Generation, RuledSampling } from './generation.ts';
import type { ModelFiles } from './model.ts';
import { settingsReader } from './seq2seq_settings.ts';

/** Added to a logit: more than any logit is, and no infinity. */
const CERTAIN = 1e30;

/**
 * How the tokens of a sequence are sampled under rules.
 *
 * @param sampling - with the repetition penalty, which the sampler applies to logits
 */
export function ruledSampling(
  sampling: SamplingParams,
  settings: TokenRuleSettings,
  request: RuledRequest,
): RuledSampling {
  const logitRules = { ...settings, repetitionPenalty: 1 };
  const rulesOf = tokenRules(logitRules, request);
  return {
    isReactive: dependsOnTokens(logitRules),
    at(tokens) {
      const { forced, factors } = rulesOf(tokens);
      const bias = new Map(sampling.logitBias);
      for (const token of factors.keys()) bias.set(token, -CERTAIN);
      if (forced !== undefined) bias.set(forced, CERTAIN);
      return bias.size === 0 ? sampling : { ...sampling, logitBias: bias };
    },
  };
}

/**
 * The most probable continuation as the model's files would have it.
 *
 * @param maxLength - tokens at which it ends, the start token counted
 */
export function greedyGeneration(
  files: Pick<ModelFiles, 'generationConfig' | 'config'>,
  vocab: number,
  encoderInput: readonly number[],
  maxLength: number,
): Pick<Generation, 'prompt' | 'encoderInput' | 'sampling' | 'stopIds'> {
  const { startIds, eosIds, rules } = settingsReader(files, vocab)();
  const sampling = { ...GREEDY, repetitionPenalty: rules.repetitionPenalty };
  const request = { numPrompt: startIds.length, maxLength, eosIds, encoderInput };
  return {
    prompt: startIds,
    encoderInput,
    stopIds: eosIds,
    sampling: ruledSampling(sampling, rules, request),
  };
}
