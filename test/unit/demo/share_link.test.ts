import { deflateRawSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { isResultLink, linkOf, reportsOf } from '../../../demo/bench/records/share_link.ts';
import { benchReport } from './support/bench_reports.ts';

const PAGE = 'https://example.org/some/bench.html?model=tiny&run#r=old';

const hashOf = (text: string): string => `#r=${deflateRawSync(text).toString('base64url')}`;

it('carries reports in its fragment, and nothing else of the page', async () => {
  const reports = [benchReport(), benchReport({ name: 'größer – 大', form: 'f16' })];
  const url = new URL(await linkOf(reports, PAGE));
  expect(url.origin + url.pathname + url.search).toBe('https://example.org/some/bench.html');
  expect(url.hash).toMatch(/^#r=[\w-]+$/);
  expect(url.hash.length).toBeLessThan(8000);
  expect(isResultLink(url.hash)).toBe(true);
  expect(await reportsOf(url.hash)).toEqual(reports);
});

it('refuses what is too large for a link', async () => {
  const noise = Array.from({ length: 6000 }, (_, i) => Math.sin(i * i)).join(' ');
  const report = { ...benchReport(), notes: [noise] };
  await expect(linkOf([report], PAGE)).rejects.toThrow(/too large for a link: [\d,]+ characters/);
});

it('refuses what was cut or is something else', async () => {
  const { hash } = new URL(await linkOf([benchReport()], PAGE));
  expect(isResultLink('#records')).toBe(false);
  for (const damaged of [hash.slice(0, -40), '#r=', '#r=!!', hashOf('{'), '#r=AAAA']) {
    await expect(reportsOf(damaged)).rejects.toThrow('link is damaged');
  }
  await expect(reportsOf(hashOf('{"schema":"quern-bench/7"}'))).rejects.toThrow('quern-bench/7');
});

it('unpacks no more than a result can be', async () => {
  await expect(reportsOf(hashOf(' '.repeat(2 ** 25)))).rejects.toThrow('more than 16 MiB');
});
