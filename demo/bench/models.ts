/** What the page offers to measure. @module */
import {
  type BenchReport,
  BUNDLED_MODEL,
  type ModelKind,
  type PlanTarget,
  SHAPES,
  testsOfKind,
  type WeightForm,
} from '../../src/bench/index.ts';

/** A model of the list. */
export interface Offer {
  readonly model: string;
  readonly name: string;
  readonly note: string;
  /** What tests it can run. */
  readonly kind: ModelKind;
  /** Weights, roughly; missing where its own files say in which form they are. */
  readonly parameters?: number;
}

/** Sizes of well-known models, smallest first, and the model that comes with the page. */
export const OFFERS: readonly Offer[] = [
  {
    model: 'smollm2-135m',
    name: 'SmolLM2 135M',
    kind: 'decoder',
    note: 'writes text',
    parameters: 135e6,
  },
  {
    model: 'qwen2.5-0.5b',
    name: 'Qwen2.5 0.5B',
    kind: 'decoder',
    note: 'writes text',
    parameters: 494e6,
  },
  {
    model: 'llama-3.2-1b',
    name: 'Llama 3.2 1B',
    kind: 'decoder',
    note: 'writes text',
    parameters: 1.24e9,
  },
  {
    model: 'llama-3.2-3b',
    name: 'Llama 3.2 3B',
    kind: 'decoder',
    note: 'writes text',
    parameters: 3.21e9,
  },
  {
    model: 'mistral-7b',
    name: 'Mistral 7B',
    kind: 'decoder',
    note: 'writes text',
    parameters: 7.25e9,
  },
  {
    model: 'llama-3.1-8b',
    name: 'Llama 3.1 8B',
    kind: 'decoder',
    note: 'writes text',
    parameters: 8.03e9,
  },
  {
    model: 'minilm',
    name: 'MiniLM',
    kind: 'encoder',
    note: 'reads texts for search',
    parameters: 22.7e6,
  },
  {
    model: 'bert-base',
    name: 'BERT base',
    kind: 'encoder',
    note: 'reads texts for search',
    parameters: 109e6,
  },
  {
    model: 't5-base',
    name: 'T5 base',
    kind: 'seq2seq',
    note: 'turns texts into texts',
    parameters: 223e6,
  },
  {
    model: 'tinychat',
    name: 'TinyChat',
    kind: 'decoder',
    note: 'real weights, comes with the page',
  },
];

/** Weight forms that can be chosen, and bytes of a weight with its share of the scales. */
export const FORMS: readonly {
  readonly form: WeightForm;
  readonly name: string;
  readonly bytes: number;
}[] = [
  { form: 'q4', name: '4 bits', bytes: 0.5625 },
  { form: 'q8', name: '8 bits', bytes: 1.0625 },
  { form: 'f16', name: '16 bits', bytes: 2 },
  { form: 'f32', name: '32 bits', bytes: 4 },
];

/** What the page calls a model. */
export function nameOfModel(model: string): string {
  return OFFERS.find((offer) => offer.model === model)?.name ?? model;
}

/** What the page calls a weight form. */
export function nameOfForm(weights: PlanTarget['weights']): string {
  if (weights === 'auto') return 'the form that suits it';
  return FORMS.find(({ form }) => form === weights)?.name ?? weights;
}

/** What the page calls a target: `SmolLM2 135M in 4 bits`. */
export function nameOfTarget({ model, weights }: PlanTarget): string {
  return weights === 'auto'
    ? nameOfModel(model)
    : `${nameOfModel(model)} in ${nameOfForm(weights)}`;
}

/** What the page calls the model of a report. */
export function nameOfReport({ model: { name, form, isMadeUp } }: BenchReport): string {
  const own = isMadeUp ? nameOfModel(name) : name;
  return form === 'stored' ? own : nameOfTarget({ model: own, weights: form });
}

/** The tests that at least one of some models can run, as far as their kinds are known. */
export function testsFor(models: readonly string[], tests: readonly string[]): readonly string[] {
  const kinds = models.map((model) => OFFERS.find((offer) => offer.model === model)?.kind);
  if (kinds.includes(undefined)) return tests;
  const own = kinds.flatMap((kind) => (kind === undefined ? [] : testsOfKind(kind, tests)));
  return tests.filter((test) => own.includes(test));
}

/** Whether a model comes from elsewhere. */
export function isDownload(model: string): boolean {
  return !Object.hasOwn(SHAPES, model) && model !== BUNDLED_MODEL;
}

/** About what the weights of a target take; 0 where that is not known before they are there. */
export function weightBytes({ model, weights }: PlanTarget): number {
  const parameters = OFFERS.find((offer) => offer.model === model)?.parameters ?? 0;
  return parameters * (FORMS.find(({ form }) => form === weights)?.bytes ?? 0);
}
