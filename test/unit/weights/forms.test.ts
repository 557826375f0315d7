import { describe, expect, it } from 'vitest';
import { chooseForm, formOf, type MemoryFacts } from '../../../src/weights/forms.ts';
import type { WeightChoice } from '../../../src/weights/forms.ts';

const GIB = 2 ** 30;

/** A model of 3 GiB in 16 bits. */
function bytesOf(form: WeightChoice): number {
  return { stored: 3, f32: 6, f16: 3, q8: 1.7, q4: 1 }[form] * GIB;
}

const ROOMY: MemoryFacts = { deviceMemory: undefined, maxBufferSize: 4 * GIB, isSoftware: false };

describe('chooseForm', () => {
  it.each<[Partial<MemoryFacts>, WeightChoice, RegExp]>([
    [{}, 'stored', /3072 MiB as in the files fit in 8192 MiB, half of 4 times maxBufferSize$/],
    [{ deviceMemory: 8 }, 'stored', /fit in 4096 MiB, half of navigator\.deviceMemory$/],
    [{ deviceMemory: 6 }, 'stored', /fit in 3072 MiB/],
    [{ deviceMemory: 4 }, 'q8', /1741 MiB in q8 fit in 2048 MiB.*not 3072 MiB as in the files/],
    [{ deviceMemory: 2 }, 'q4', /1024 MiB in q4 fit in 1024 MiB.*not 3072 .*, 1741 MiB in q8/],
    [{ deviceMemory: 0.5 }, 'q4', /the least, though 1024 MiB in q4 are more than 256 MiB/],
    // Of both limits the lower one; a phone's largest buffer is small.
    [{ deviceMemory: 8, maxBufferSize: GIB }, 'q8', /half of 4 times maxBufferSize/],
    [{ maxBufferSize: GIB / 4 }, 'q4', /512 MiB/],
    // The largest buffer of a software adapter tells nothing.
    [{ isSoftware: true, maxBufferSize: GIB / 4 }, 'stored', /nothing is known of the memory/],
    [{ isSoftware: true, deviceMemory: 4 }, 'q8', /navigator\.deviceMemory/],
  ])('%j: %s', (facts, form, reason) => {
    const chosen = chooseForm({ ...ROOMY, ...facts }, bytesOf);
    expect(chosen.form).toBe(form);
    expect(chosen.reason).toMatch(reason);
  });
});

describe('formOf', () => {
  it.each([
    ['stored', 'inner', 'bf16', 9, 64, 'bf16'],
    ['f32', 'inner', 'bf16', 9, 64, 'f32'],
    ['f16', 'end', 'f32', 9, 5, 'f16'],
    ['q8', 'inner', 'f32', 9, 64, 'q8'],
    ['q4', 'inner', 'f16', 512, 512, 'q4'],
    // What is small keeps 8 bits, and so do embeddings and heads.
    ['q4', 'inner', 'f16', 511, 512, 'q8'],
    ['q4', 'inner', 'f16', 1e4, 32, 'q4'],
    ['q4', 'end', 'f16', 1e5, 96, 'q8'],
    // Rows that are no whole groups stay as they are, and so does what must be exact.
    ['q4', 'inner', 'bf16', 1e5, 48, 'bf16'],
    ['q4', 'inner', 'bf16', 9, 48, 'bf16'],
    ['q8', 'end', 'f16', 9, 33, 'f16'],
    ['q4', 'exact', 'f32', 1e5, 64, 'f32'],
    ['f32', 'exact', 'f16', 9, 64, 'f16'],
  ] as const)('%s of an %s matrix of %s, %d x %d: %s', (choice, role, stored, rows, cols, form) => {
    expect(formOf(choice, role, stored, { rows, cols })).toBe(form);
  });
});
