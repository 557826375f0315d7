import { describe, expect, it } from 'vitest';
import {
  dependsOnTokens,
  FORBIDDEN,
  NO_TOKEN_RULES,
  numFixedRules,
  type RuledRequest,
  tokenRules,
  type TokenRuleSettings,
} from '../../../../src/engine/core/token_rules.ts';

const EOS = 2;
const REQUEST: RuledRequest = { numPrompt: 1, maxLength: 6, eosIds: new Set([EOS, 9]) };

function forbidden(
  settings: Partial<TokenRuleSettings>,
  tokens: readonly number[],
  request: Partial<RuledRequest> = {},
): readonly number[] {
  const rules = tokenRules({ ...NO_TOKEN_RULES, ...settings }, { ...REQUEST, ...request })(tokens);
  expect(rules.forced).toBeUndefined();
  for (const factor of rules.factors.values()) expect(factor).toBe(FORBIDDEN);
  return [...rules.factors.keys()].sort((a, b) => a - b);
}

function forced(
  settings: Partial<TokenRuleSettings>,
  tokens: readonly number[],
  request: Partial<RuledRequest> = {},
): number | undefined {
  return tokenRules({ ...NO_TOKEN_RULES, ...settings }, { ...REQUEST, ...request })(tokens).forced;
}

describe('tokenRules', () => {
  it('forbids nothing by itself', () => {
    expect(forbidden({}, [0])).toEqual([]);
    expect(forbidden({}, [0, 1, 1, 1, 1])).toEqual([]);
  });

  it('forbids what would complete an n-gram again', () => {
    expect(forbidden({ noRepeatNgramSize: 1 }, [0, 5, 5])).toEqual([0, 5]);
    expect(forbidden({ noRepeatNgramSize: 2 }, [0, 5])).toEqual([]);
    expect(forbidden({ noRepeatNgramSize: 2 }, [5, 0, 5, 7, 5])).toEqual([0, 7]);
    expect(forbidden({ noRepeatNgramSize: 2 }, [5, 5])).toEqual([5]);
    expect(forbidden({ noRepeatNgramSize: 3 }, [5, 6, 7, 6, 5, 6])).toEqual([7]);
    expect(forbidden({ noRepeatNgramSize: 3 }, [5, 6])).toEqual([]);
    expect(forbidden({ noRepeatNgramSize: 4 }, [5])).toEqual([]);
  });

  it("forbids the n-grams of the encoder's input", () => {
    const request = { encoderInput: [4, 5, 6, 5, 7] };
    expect(forbidden({ encoderNoRepeatNgramSize: 1 }, [0], request)).toEqual([4, 5, 6, 7]);
    expect(forbidden({ encoderNoRepeatNgramSize: 2 }, [0, 5], request)).toEqual([6, 7]);
    expect(forbidden({ encoderNoRepeatNgramSize: 3 }, [5], request)).toEqual([]);
    expect(forbidden({ encoderNoRepeatNgramSize: 3 }, [6, 5], request)).toEqual([7]);
    expect(forbidden({ encoderNoRepeatNgramSize: 2 }, [0, 5])).toEqual([]);
  });

  it('forbids the last token of a bad word once the others are there', () => {
    const badWords = [[4], [5, 6], [5, 7, 8], []];
    expect(forbidden({ badWords }, [0])).toEqual([4]);
    expect(forbidden({ badWords }, [0, 5])).toEqual([4, 6]);
    expect(forbidden({ badWords }, [5, 7])).toEqual([4, 8]);
    expect(forbidden({ badWords }, [5, 7, 1])).toEqual([4]);
  });

  it('leaves an EOS that is a bad word, as Transformers does', () => {
    expect(forbidden({ badWords: [[EOS], [4], [9, EOS]] }, [0])).toEqual([4]);
    expect(forbidden({ badWords: [[EOS], [4], [9, EOS]] }, [9])).toEqual([EOS, 4]);
  });

  it('forbids every EOS before the shortest length', () => {
    expect(forbidden({ minLength: 3 }, [0, 5])).toEqual([EOS, 9]);
    expect(forbidden({ minLength: 3 }, [0, 5, 5])).toEqual([]);
    expect(forbidden({ minNewTokens: 2 }, [0, 5], { numPrompt: 2 })).toEqual([EOS, 9]);
    expect(forbidden({ minNewTokens: 2 }, [0, 5, 5, 5], { numPrompt: 2 })).toEqual([]);
    expect(forbidden({ minLength: 5, minNewTokens: 1 }, [0, 5])).toEqual([]);
  });

  it('forbids suppressed tokens, always or at the beginning', () => {
    const settings = { suppressedIds: [3, 4], beginSuppressedIds: [4, 5] };
    expect(forbidden(settings, [0])).toEqual([3, 4, 5]);
    expect(forbidden(settings, [0, 1])).toEqual([3, 4]);
    expect(forbidden(settings, [0, 1], { numPrompt: 2 })).toEqual([3, 4, 5]);
    expect(forbidden({ ...settings, forcedBosId: 7 }, [0, 7])).toEqual([3, 4, 5]);
  });

  it('forces the token after the start token, and the last one', () => {
    expect(forced({ forcedBosId: 7 }, [0])).toBe(7);
    expect(forced({ forcedBosId: 7 }, [0, 7])).toBeUndefined();
    expect(forced({ forcedBosId: 7 }, [0, 1], { numPrompt: 2 })).toBeUndefined();
    expect(forced({ forcedEosId: EOS }, [0, 1, 1, 1])).toBeUndefined();
    expect(forced({ forcedEosId: EOS, minLength: 9 }, [0, 1, 1, 1, 1])).toBe(EOS);
    expect(forced({ forcedBosId: 7, forcedEosId: EOS }, [0], { maxLength: 2 })).toBe(EOS);
  });

  it('penalizes tokens that came before, unless they are forbidden', () => {
    const settings = { ...NO_TOKEN_RULES, repetitionPenalty: 1.3, badWords: [[5]] };
    expect([...tokenRules(settings, REQUEST)([0, 5, 6, 6]).factors]).toEqual([
      [0, 1.3],
      [5, FORBIDDEN],
      [6, 1.3],
    ]);
  });
});

describe('dependsOnTokens', () => {
  it('is true of rules that read the tokens, not only their number', () => {
    const depends = (settings: Partial<TokenRuleSettings>): boolean =>
      dependsOnTokens({ ...NO_TOKEN_RULES, ...settings });
    const byNumber = {
      badWords: [[4]],
      minLength: 4,
      forcedBosId: 1,
      forcedEosId: 2,
      suppressedIds: [3],
      beginSuppressedIds: [5],
      encoderNoRepeatNgramSize: 1,
    };
    expect(depends(byNumber)).toBe(false);
    const request = { encoderInput: [8, 7] };
    expect(forbidden(byNumber, [0, 1, 1], request)).toEqual(
      forbidden(byNumber, [8, 8, 4], request),
    );
    expect(depends({ badWords: [[4, 5]] })).toBe(true);
    expect(depends({ noRepeatNgramSize: 1 })).toBe(true);
    expect(depends({ encoderNoRepeatNgramSize: 2 })).toBe(true);
    expect(depends({ repetitionPenalty: 1.2 })).toBe(true);
  });
});

describe('numFixedRules', () => {
  it('is as many tokens as the rules can name at one time beside those of the texts', () => {
    const settings = {
      ...NO_TOKEN_RULES,
      // 2 alone; after 1 two, after 3 one; after 5, 6 one: the latter may apply together with one of the former.
      badWords: [[7], [8], [1, 2], [1, 3], [3, 1], [5, 6, 7]],
      suppressedIds: [20, 21],
      beginSuppressedIds: [22],
    };
    expect(numFixedRules(settings, REQUEST)).toBe(2 + 2 + 1 + 2 + 1 + REQUEST.eosIds.size);
    const worst = forbidden({ ...settings, minLength: 9 }, [1]);
    expect(worst.length).toBeLessThanOrEqual(numFixedRules(settings, REQUEST));
  });
});
