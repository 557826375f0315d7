import type { EngineStats } from 'quern';
import type { JSX } from 'preact';
import type { ContextUse } from '../state/types.ts';
import { adapterName, formatBytes, formatCount } from '../wording.ts';
import { FactList } from './facts.tsx';

const THREADS = {
  page: 'the page',
  worker: 'a worker',
  'shared-worker': 'a shared worker',
} as const;

/** Figures of the model and the device, for those who want to know. */
export function DeviceDetails({
  stats: { model, adapter, memory, totals, thread, recoveries, pipelines, selfTest, tuning },
  use,
}: {
  readonly stats: EngineStats;
  readonly use: ContextUse | undefined;
}): JSX.Element {
  const features = [adapter.hasF16 && 'f16', adapter.hasSubgroups && 'subgroups'].filter(Boolean);
  return (
    <>
      <h2>Model</h2>
      <FactList
        facts={[
          ['Family', model.modelType],
          ['Parameters', formatCount(model.parameters)],
          ['Layers', formatCount(model.layers)],
          ['Context', `${use?.tokens ?? 0} of ${model.contextLength} tokens`],
        ]}
      />
      <h2>Device</h2>
      <FactList
        facts={[
          ['Adapter', `${adapterName(adapter)}${adapter.isSoftware ? ' (software)' : ''}`],
          ['Features', features.join(', ') || 'none of f16, subgroups'],
          ['Kernel check', describeSelfTest(selfTest)],
          ['Tuning', describeTuning(tuning)],
          ['Runs in', THREADS[thread]],
          ...(recoveries > 0 ? ([['Recovered', `${recoveries} times`]] as const) : []),
        ]}
      />
      <h2>GPU memory</h2>
      <FactList
        facts={[
          ['Weights', formatBytes(memory.weights)],
          ['Context cache', formatBytes(memory.kv)],
          ['All', formatBytes(memory.total)],
        ]}
      />
      <h2>Since loading</h2>
      <FactList
        facts={[
          ['Tokens read', formatCount(totals.promptTokens)],
          ['of them cached', formatCount(totals.cachedTokens)],
          ['Tokens written', formatCount(totals.generatedTokens)],
          ['Dispatches', formatCount(totals.dispatches)],
          ['Pipelines', formatCount(pipelines)],
        ]}
      />
    </>
  );
}

function describeTuning({ status, chosen }: EngineStats['tuning']): string {
  const count = Object.keys(chosen).length;
  return status === 'skipped' ? 'not on this adapter' : `${count} kernels measured`;
}

function describeSelfTest({ status, dropped }: EngineStats['selfTest']): string {
  if (status === 'failed') {
    return `${dropped.length} ${dropped.length === 1 ? 'variant' : 'variants'} dropped`;
  }
  return status;
}
