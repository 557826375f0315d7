/** `quern bench --kernels`: single operations. @module */
import { freemem } from 'node:os';
import { benchKernel, type KernelResult } from '../bench/kernel_bench.ts';
import {
  KERNEL_CLASSES,
  kernelCases,
  type CaseSizes,
  type KernelClass,
} from '../bench/kernel_cases.ts';
import { measurePeaks, type Peaks } from '../bench/peaks.ts';
import { MADE_UP_FORM } from '../bench/plan.ts';
import { caseSizes } from '../bench/shapes.ts';
import type { Device } from '../gpu/device.ts';
import { openDevice } from '../gpu/open_device.ts';
import type { KvDType } from '../kernels/kv_cache.ts';
import { WEIGHT_FORMS, type WeightForm } from '../kernels/matrix.ts';
import { openGpu } from '../node/gpu.ts';
import { NODE_CLOCK, type BenchFacts } from './bench_facts.ts';
import { describeFacts, describeKernels, describePeaks } from './bench_tables.ts';
import { readConfig, shapeOf, type TargetValues } from './bench_target.ts';
import { choiceValue, countValue, type TextOption, UsageError } from './command.ts';
import { adapterValue, contextValues } from './model.ts';
import type { Terminal } from './terminal.ts';

/** What `quern bench --kernels --json` prints. */
export interface KernelsOutput extends BenchFacts {
  readonly schema: 'quern-kernels/1';
  readonly date: string;
  readonly peaks: Peaks;
  readonly kernels: readonly KernelResult[];
}

/** Options of `quern bench --kernels`. */
export const KERNEL_OPTIONS: Readonly<
  Record<'kernels' | 'sizes' | 'rows' | 'lengths' | 'variant' | 'least-ms', TextOption>
> = {
  kernels: {
    type: 'string',
    value: 'LIST',
    help: `measure single operations: all, or some of ${KERNEL_CLASSES.join(',')}`,
  },
  sizes: {
    type: 'string',
    value: 'LIST',
    help: 'with --kernels: outputs and inputs of matrices, e.g. 1536x576,576x1536; default: of the shape',
  },
  rows: { type: 'string', value: 'LIST', help: 'with --kernels: rows, default 1,8,64,256' },
  lengths: {
    type: 'string',
    value: 'LIST',
    help: 'with --kernels: keys that attention sees, default 128,1024,4096',
  },
  variant: {
    type: 'string',
    value: 'LIST',
    help: 'with --kernels: ways to run each, by name, or all; default: the one that is chosen',
  },
  'least-ms': {
    type: 'string',
    value: 'MS',
    help: 'with --kernels: least time of a measurement, default 50',
  },
};

/** Options that say how a model is measured. */
const MODEL_OPTIONS = [
  'tests',
  'prompt-tokens',
  'gen-tokens',
  'depth',
  'streams',
  'profile',
  'load',
  'csv',
  'markdown',
];

type KernelValues = { readonly [K in keyof typeof KERNEL_OPTIONS]?: string };

/** @throws {UsageError} if an option is given that says nothing of what is measured: a model, or single operations */
export function refuseOptions(values: Readonly<Record<string, unknown>>): void {
  const { kernels } = values;
  const idle = kernels === undefined ? Object.keys(KERNEL_OPTIONS) : MODEL_OPTIONS;
  const name = idle.find((option) => values[option] !== undefined);
  if (name === undefined) return;
  const where = kernels === undefined ? 'without' : 'with';
  throw new UsageError(`bench: --${name} says nothing ${where} --kernels; leave it out`);
}

/** What {@link KERNEL_OPTIONS} ask for. */
export interface KernelWishes {
  readonly classes: readonly KernelClass[];
  /** Absent: those of the shape. */
  readonly matrices: CaseSizes['matrices'] | undefined;
  readonly rows: readonly number[];
  readonly lengths: readonly number[];
  readonly variants: readonly string[] | 'all' | undefined;
  readonly leastMs: number;
}

/** @throws {UsageError} if a value is none */
export function kernelWishes(values: KernelValues): KernelWishes {
  const { kernels = 'all', variant, sizes } = values;
  return {
    classes:
      kernels === 'all'
        ? KERNEL_CLASSES
        : kernels.split(',').map((name) => choiceValue('kernels', name, KERNEL_CLASSES)),
    matrices: sizes === undefined ? undefined : sizesOf(sizes),
    rows: countValues('rows', values.rows ?? '1,8,64,256'),
    lengths: countValues('lengths', values.lengths ?? '128,1024,4096'),
    variants: variant === 'all' ? 'all' : variant?.split(','),
    leastMs: countValue('least-ms', values['least-ms'] ?? '50'),
  };
}

/** `quern bench --kernels`. */
export async function runKernels(
  values: TargetValues &
    Parameters<typeof kernelWishes>[0] & {
      readonly kv?: string;
      readonly adapter?: string;
      readonly json?: boolean;
    },
  repetitions: number,
  facts: BenchFacts,
  terminal: Terminal,
): Promise<void> {
  const { shape = 'smollm2-135m', config, weights = MADE_UP_FORM } = values;
  const wishes = kernelWishes(values);
  const sizes = caseSizes(
    (config === undefined ? shapeOf(shape) : await readConfig(config)).config,
  );
  const forms = weights.split(',').map((form) => choiceValue('weights', form, WEIGHT_FORMS));
  const { kvDtype = 'f16' } = contextValues(values.kv === undefined ? {} : { kv: values.kv });
  const { signal } = terminal;
  const device = await openDevice(await openGpu(adapterValue(values.adapter)), {
    integerProducts: true,
  });
  const date = new Date().toISOString();
  const isText = values.json !== true;
  try {
    const peaks = await measurePeaks(device, NODE_CLOCK, { signal });
    if (isText) terminal.out(`${describeFacts(facts, date)}${describePeaks(peaks)}`);
    const kernels = await benchKernels(device, sizes, wishes, {
      forms,
      kvDtype,
      repetitions,
      availableBytes: freemem(),
      signal,
      onResult(results) {
        if (isText && results.length > 0) terminal.out(`\n${describeKernels(results, peaks)}`);
      },
    });
    const output: KernelsOutput = { schema: 'quern-kernels/1', date, ...facts, peaks, kernels };
    if (!isText) terminal.out(`${JSON.stringify(output)}\n`);
  } finally {
    device.dispose();
  }
}

/**
 * Measures the operations asked for, and tells of each as it is done.
 *
 * @throws {UsageError} if no variant asked for can run any of them
 */
async function benchKernels(
  device: Device,
  sizes: CaseSizes,
  wishes: KernelWishes,
  options: {
    readonly forms: readonly WeightForm[];
    readonly kvDtype: KvDType;
    readonly repetitions: number;
    readonly availableBytes: number;
    readonly signal: AbortSignal;
    readonly onResult: (results: readonly KernelResult[]) => void;
  },
): Promise<readonly KernelResult[]> {
  const { forms, kvDtype, repetitions, availableBytes, signal, onResult } = options;
  const { classes, matrices = sizes.matrices, rows, lengths, variants, leastMs } = wishes;
  const cases = { facts: device.facts, forms, kvDtype, rows, lengths };
  const how = { clock: NODE_CLOCK, variants, repetitions, leastMs, availableBytes, signal };
  const results: KernelResult[] = [];
  const ways = new Set<string>();
  for (const kernel of classes) {
    for (const one of kernelCases(kernel, { ...sizes, matrices }, cases)) {
      for (const way of one.variants(device.facts)) ways.add(way);
      const found = await benchKernel(device, one, how);
      onResult(found);
      results.push(...found);
    }
  }
  if (results.length > 0) return results;
  throw new UsageError(
    `--variant: ${JSON.stringify(String(variants))}, expected some of: ${[...ways].join(', ')}`,
  );
}

/** Several counts, with commas between them. @throws {UsageError} if one is none */
export function countValues(option: string, text: string): readonly number[] {
  return text.split(',').map((part) => countValue(option, part));
}

function sizesOf(text: string): CaseSizes['matrices'] {
  return text.split(',').map((size) => {
    const [outputs, inputs, ...more] = size.split('x');
    if (outputs === undefined || inputs === undefined || more.length > 0) {
      throw new UsageError(
        `--sizes: ${JSON.stringify(size)}, expected outputs and inputs, e.g. 1536x576`,
      );
    }
    return { outputs: countValue('sizes', outputs), inputs: countValue('sizes', inputs) };
  });
}
