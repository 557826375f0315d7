import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createTokenizer } from '../../../src/tokenizer/tokenizer.ts';
it('agrees', () => {
  const cases = JSON.parse(readFileSync('/tmp/tok_cases.json', 'utf8'));
  const made = new Map();
  const bad: any[] = [];
  for (const [v, a, b, m, d, ids, types, full] of cases) {
    const key = v + d;
    if (!made.has(key)) made.set(key, createTokenizer({ tokenizerJson: JSON.parse(readFileSync(`/tmp/tok_${v}.json`, 'utf8')), tokenizerConfig: { truncation_side: d } }));
    const T = made.get(key);
    const got = T.encodePair(a, b ?? undefined, m ?? undefined);
    if (JSON.stringify([got.ids, got.typeIds, got.uncutLength]) !== JSON.stringify([ids, types, full])) {
      bad.push([v, a, '|', b, T.encode(a, { addSpecialTokens: false }).length, b && T.encode(b, { addSpecialTokens: false }).length, m, d, got.ids.join(), ids.join(), full]);
    }
  }
  console.log(bad.length, bad.slice(0, 12).map((x) => x.join(' ')).join('\n'));
});
