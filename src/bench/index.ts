/** What measures models and devices, and reads, writes and compares what was measured: for `quern bench` and its page. @module */
export { parseTest, testName, type BenchTest } from './bench_tests.ts';
export { adapterName, compareReports, differences, type Comparison } from './compare.ts';
export type { Calls } from './count_calls.ts';
export { readDevice } from './device_report.ts';
export {
  BUNDLED_MODEL,
  DEFAULT_PLAN,
  parsePlan,
  planParams,
  testsOfKind,
  type BenchPlan,
  type PlanTarget,
} from './plan.ts';
export type { KernelProfile, ProfileReport } from './profile.ts';
export { parseReports, readReports, reportSet } from './read_report.ts';
export type { BenchReport, PageMemory, TestResult } from './report.ts';
export { reportsCsv } from './report_csv.ts';
export { deviceMarkdown, reportsMarkdown } from './report_markdown.ts';
export { limitFormula, rooflineOf, type RooflinePoint } from './roofline.ts';
export { runPlan, type BenchOutcome, type PlanProgress } from './run_plan.ts';
export { SHAPES } from './shapes.ts';
export type { Spread } from './statistics.ts';
export type { ModelKind } from '../models/family.ts';
export type { WeightForm } from '../kernels/matrix.ts';
