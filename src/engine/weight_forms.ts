/** In which form the weights of a model are stored: decided once, before they are loaded. @module */
import type { DeviceFacts } from '../gpu/facts.ts';
import { sizeOf } from '../gpu/tensor.ts';
import { WEIGHT_FORMS, type WeightForm } from '../kernels/matrix.ts';
import { RequestError } from '../util/errors.ts';
import { describeValue } from '../util/objects.ts';
import {
  chooseForm,
  SMALL_MATRIX,
  WEIGHT_OPTIONS,
  type ChosenForm,
  type FormSize,
  type WeightChoice,
  type WeightOption,
} from '../weights/forms.ts';
import type { WeightMemory } from '../weights/allocate.ts';
import { WeightLoader } from '../weights/loader.ts';
import { WeightScope } from '../weights/scope.ts';
import type { WeightsReport } from './api.ts';
import type { OpenedModel } from './model.ts';

/** Stands for memory that is only counted. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a model only passes its tensors on while it is put together
const NO_BUFFER = {} as GPUBuffer;

/** What a model's weights take in a form. */
export interface WeightSizes {
  /** Of matrices and all else. */
  readonly bytes: number;
  readonly matrices: ReadonlyMap<string, FormSize>;
  /** How many matrices have 8 bits instead of 4 for nothing but their size. */
  readonly small: number;
}

/** @throws {RequestError} if the option is none */
export function checkWeightOption(option: WeightOption): void {
  if (WEIGHT_OPTIONS.includes(option)) return;
  throw new RequestError(
    `load: weights is ${describeValue(option)}, expected one of: ${WEIGHT_OPTIONS.join(', ')}`,
    { param: 'weights' },
  );
}

/**
 * Decides in which form to store a model's weights.
 *
 * @returns the decision for a device; the same for every later one, so that replies go on as they began
 * @throws the function, as `Family.load` does, if the weights do not fit the configuration
 */
export function formDecision<Model>(
  opened: OpenedModel<Model>,
  option: WeightOption,
): (facts: Pick<DeviceFacts, 'limits' | 'isSoftware'>) => WeightsReport {
  if (opened.makeUp !== undefined) {
    return () => ({ form: 'stored', reason: 'made up', matrices: {} });
  }
  let report: WeightsReport | undefined;
  return (facts) => {
    if (report === undefined) {
      const { form, reason } = choose(opened, option, facts);
      const { matrices, small } = sizeWeights(opened, form);
      const but = `; ${small} matrices of fewer than ${SMALL_MATRIX} elements have 8 bits`;
      report = {
        form,
        reason: small === 0 ? reason : reason + but,
        matrices: Object.fromEntries(matrices),
      };
    }
    return report;
  };
}

/** Forms that matrices of any of these models are stored in. */
export function formsIn(...reports: readonly (WeightsReport | undefined)[]): readonly WeightForm[] {
  const used = new Set(reports.flatMap((report) => Object.keys(report?.matrices ?? {})));
  return WEIGHT_FORMS.filter((form) => used.has(form));
}

function choose<Model>(
  opened: OpenedModel<Model>,
  option: WeightOption,
  { limits: { maxBufferSize }, isSoftware }: Pick<DeviceFacts, 'limits' | 'isSoftware'>,
): ChosenForm {
  if (option !== 'auto') return { form: option, reason: 'asked for' };
  const memory = { deviceMemory: deviceMemory(), maxBufferSize, isSoftware };
  return chooseForm(memory, (form) => sizeWeights(opened, form).bytes);
}

/**
 * What a model's weights would take.
 *
 * @throws as `Family.load` does if the weights do not fit the configuration
 */
export function sizeWeights<Model>(
  { config, family, checkpoint }: OpenedModel<Model>,
  form: WeightChoice,
): WeightSizes {
  let bytes = 0;
  const memory: WeightMemory = {
    facts: { limits: { maxStorageBufferBindingSize: Infinity, maxBufferSize: Infinity } },
    createTensor(_purpose, _label, dtype, shape) {
      const sizeBytes = sizeOf(dtype, shape);
      bytes += sizeBytes;
      return { dtype, shape, sizeBytes, memory: { kind: 'buffer', buffer: NO_BUFFER, offset: 0 } };
    },
  };
  const loader = new WeightLoader(memory, checkpoint, form);
  family.load(config, new WeightScope(loader));
  return { bytes, matrices: loader.sizes, small: loader.small };
}

/** GiB of memory, where the browser tells: Chromium only, and not every type library knows it. */
function deviceMemory(): number | undefined {
  const { navigator } = globalThis;
  const memory: unknown = navigator && Reflect.get(navigator, 'deviceMemory');
  return typeof memory === 'number' && memory > 0 ? memory : undefined;
}
