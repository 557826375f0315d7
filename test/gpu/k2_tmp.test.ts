import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
const cpu = () => readdirSync('/proc/self/task').filter((t) => t !== String(process.pid)).reduce((n, t) => { const f = readFileSync(`/proc/self/task/${t}/stat`, 'utf8').split(') ')[1]!.split(' '); return n + Number(f[11]) + Number(f[12]); }, 0) / 100;
import { it } from 'vitest';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { PipelineCache } from '../../src/gpu/pipeline_cache.ts';
import { run } from './attention.test.ts';
const get = PipelineCache.prototype.get;
PipelineCache.prototype.get = function (k, s) { const t = performance.now(); const e = get.call(this, k, s); void e.ready.then(() => appendFileSync('/tmp/dbg.txt', `  ${k.name} ${(performance.now() - t).toFixed(0)} ms\n`)); return e; };
describeOnAdapters('dbg', (open) => { for (const [heads,kvHeads,headDim] of [[6,2,64],[2,1,64]] as const) for (const kind of ["split"] as const) it(`dbg ${headDim} ${kind}`, async () => {
  const t = performance.now(); const c0 = cpu();
  const c = { heads, kvHeads, headDim, sequences: kind === 'tile' ? [{queries:17,keys:17}] : [{queries:1, keys:150}] };
  const d = await open();
  await run(d, c);
  const u = performance.now(); const c1 = cpu();
  await run(d, c);
  appendFileSync('/tmp/dbg.txt', `${d.gpu.adapterInfo?.device} ${d.facts.description} ${kind} ${headDim}: cpu ${(c1 - c0).toFixed(2)} first ${(u - t).toFixed(0)} ms second ${(performance.now() - u).toFixed(0)} ms\n`);
});});
