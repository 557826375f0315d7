import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Test files that take longest on two cores with empty caches, the longest first. */
const SLOW: readonly string[] = [
  'gpu/self_test',
  'gpu/engine/parity',
  'gpu/engine/parity_forms',
  'gpu/engine/perplexity',
  'gpu/attention_modes',
  'gpu/matmul_few',
  'gpu/attention',
  'gpu/engine/invariance',
  'browser/worker',
  'browser/examples',
  'browser/parity',
  'browser/worker_models',
  'package/next_app',
  'package/vite_app',
];

/** Begins with the slow files of each project, so that none of them runs alone in the end. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted(
      (a, b) => groupOf(a) - groupOf(b) || rankOf(a.moduleId) - rankOf(b.moduleId),
    );
  }
}

function groupOf({ project }: TestSpecification): number {
  return project.config.sequence.groupOrder;
}

function rankOf(path: string): number {
  const rank = SLOW.findIndex((name) => path.endsWith(`/test/${name}.test.ts`));
  return rank < 0 ? SLOW.length : rank;
}
