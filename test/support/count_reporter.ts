import type { Reporter, TestCase, TestModule } from 'vitest/node';

/**
 * Ends a run with why tests were skipped and one line `N passed, N failed, N skipped`.
 *
 * A run in which GPU tests were collected and none ran fails: a machine without any adapter tests nothing that matters.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const withState = (state: string): readonly TestCase[] =>
      tests.filter((test) => test.result().state === state);
    const skipped = withState('skipped');
    // A file that does not load, or an error outside of any test, has no test to be counted as failed.
    const broken = modules.filter((module) => module.state() === 'failed' && isEmpty(module));
    let failed = withState('failed').length + broken.length + unhandled.length;

    for (const [reason, count] of countReasons(skipped)) print(`skipped ${count}: ${reason}`);
    const gpuTests = tests.filter((test) => test.project.name === 'gpu');
    if (gpuTests.length > 0 && gpuTests.every((test) => skipped.includes(test))) {
      print('failed: every GPU test was skipped');
      failed += 1;
      process.exitCode = 1;
    }
    print(`${withState('passed').length} passed, ${failed} failed, ${skipped.length} skipped`);
  }
}

function isEmpty(module: TestModule): boolean {
  return [...module.children.allTests('failed')].length === 0;
}

function countReasons(skipped: readonly TestCase[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const test of skipped) {
    const result = test.result();
    const reason =
      (result.state === 'skipped' && result.note) || `no reason given: ${test.fullName}`;
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return counts;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
