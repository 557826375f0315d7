import { describe, expect, it } from 'vitest';
import { fillTables } from '../../../scripts/lib/performance.ts';

const spread = (median: number): object => ({ median, min: median / 2, max: median * 2 });
const SOURCE = { date: '2026-11-21T15:00:00.000Z', commit: 'abc1234', command: 'quern bench' };
const KERNELS = {
  ...SOURCE,
  schema: 'quern-kernels/1',
  peaks: { readGigabytesPerSecond: spread(8), f32GigaflopsPerSecond: spread(50) },
  kernels: [
    {
      kernel: 'matmul',
      label: '576×1536 q4|8',
      variant: 'lanes',
      us: spread(123),
      gigabytesPerSecond: spread(4),
      gigaflopsPerSecond: spread(0),
    },
  ],
};
const PEERS = {
  ...SOURCE,
  schema: 'quern-peers/1',
  adapter: 'llvmpipe',
  runtime: 'Node v20.20.2',
  peer: '1.30.0',
  repetitions: 3,
  outcomes: [
    {
      name: 'BERT-base',
      peer: 'ort-node',
      what: '',
      unit: 'tokens/s',
      quernPerSecond: spread(156),
      peerPerSecond: spread(47.3),
      wallRatio: spread(3.31),
    },
  ],
};
const files = new Map<string, unknown>([
  ['kernels.json', KERNELS],
  ['peers.json', PEERS],
]);
const page = (...parts: readonly string[]): string => `# Title\n\n${parts.join('\n\n')}\n\nLast.\n`;
const marked = (list: string, old = 'old'): string =>
  `<!-- table: ${list} -->\n${old}\n<!-- end -->`;

describe('fillTables', () => {
  it('puts tables between the markers and leaves the prose', () => {
    const filled = fillTables(
      page(marked('kernels.json'), 'Between.', marked('peers.json')),
      files,
    );
    expect(filled).toContain(
      '| matmul 576×1536 q4\\|8 | lanes | 123 (61.5–246) | 4.00 (50.0 %) | 0 |',
    );
    expect(filled).toContain('| BERT-base | tokens/s | 156 | 47.3 (ort-node) | 3.31 (1.66–6.62) |');
    expect(filled).toContain('`quern bench`, commit abc1234, 2026-11-21.');
    expect(filled).toMatch(/^# Title\n\n<!-- table: kernels\.json -->\n\n\|/);
    expect(filled).toContain('<!-- end -->\n\nBetween.\n\n<!-- table: peers.json -->');
    expect(filled).toMatch(/<!-- end -->\n\nLast\.\n$/);
    expect(filled).not.toContain('old');
  });

  it('makes the same of what it made', () => {
    const once = fillTables(page(marked('kernels.json peers.json')), files);
    expect(fillTables(once, files)).toBe(once);
  });

  it.each([
    ['no measurement tiny.json', page(marked('tiny.json'), marked('kernels.json peers.json'))],
    ['no table is made of peers.json', page(marked('kernels.json'))],
    [
      'a marker stands alone',
      page(marked('kernels.json peers.json'), '<!-- table: peers.json -->'),
    ],
    ['a marker stands alone', page('<!-- end -->', marked('kernels.json peers.json'))],
  ])('refuses: %s', (message, text) => {
    expect(() => fillTables(text, files)).toThrow(message);
  });

  it('names the file that it cannot read', () => {
    const broken = new Map([['broken.json', { ...KERNELS, kernels: [{ kernel: 'matmul' }] }]]);
    expect(() => fillTables(page(marked('broken.json')), broken)).toThrow(
      /docs\/measurements\/broken\.json: .*label/s,
    );
    const other = new Map([['other.json', { schema: 'quern-bench/9' }]]);
    expect(() => fillTables(page(marked('other.json')), other)).toThrow(
      /docs\/measurements\/other\.json: .*quern-bench\/9/s,
    );
  });
});
