import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import { openDevice } from '../../src/gpu/open_device.ts';
import type { Access, Kernel } from '../../src/gpu/kernel.ts';
import { Recorder } from '../../src/gpu/recorder.ts';
import { COUNT_NAMES } from '../../src/gpu/tensor.ts';
import { ACTIVATIONS } from '../../src/kernels/activation.ts';
import { LAST_TOKEN } from '../../src/kernels/embedding.ts';
import {
  HISTORY_PROMPT,
  SAMPLE_RESULT_WORDS,
  SAMPLE_ROW_WORDS,
  encodeSampleRow,
} from '../../src/kernels/sample.ts';
import { FORBIDDEN } from '../../src/engine/core/token_rules.ts';
import {
  BEAM_RESULT_WORDS,
  BEAM_ROW_WORDS,
  encodeBeamRow,
  FORBIDDEN_FACTOR,
} from '../../src/kernels/beam_candidates.ts';
import { openGpu } from '../../src/node/gpu.ts';
import { CollectingRecorder, EVERY_OP } from '../support/every_op.ts';
import { readShaders } from '../support/shader_files.ts';

const FILES = readShaders();
const LIBRARY = readShaders('lib');

const DECLARED: Readonly<Record<Access, string>> = {
  read: 'storage, read',
  write: 'storage, read_write',
  update: 'storage, read_write',
  uniform: 'uniform',
};

function withoutComments(source: string): string {
  return source.replaceAll(/\/\/.*/g, '');
}

/** Bindings that a WGSL file declares, as `group binding var<...> name`. */
function bindingsOf(source: string): readonly string[] {
  const pattern = /@group\((\d+)\)\s*@binding\((\d+)\)\s*var<([^>]*)>\s*(\w+)/g;
  const found = withoutComments(source).matchAll(pattern);
  return Array.from(found, ([, group, index, space, name]) => `${group} ${index} ${space} ${name}`);
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Whether `name[…]` occurs anywhere but on the left of an assignment. */
function reads(source: string, name: string): boolean {
  const code = withoutComments(source);
  return Array.from(code.matchAll(new RegExp(`\\b${name}\\[`, 'g'))).some(({ index, 0: match }) => {
    let end = index + match.length;
    for (let depth = 1; depth > 0 && end < code.length; end += 1) {
      depth += { '[': 1, ']': -1 }[code.charAt(end)] ?? 0;
    }
    return !/^\s*=[^=]/.test(code.slice(end));
  });
}

/** Value of `const NAME: u32 = …;` in a WGSL file. */
function constant(source: string | undefined, name: string): number {
  const [, value] = new RegExp(`^const ${name}: u32 = (\\w+)u;`, 'm').exec(source ?? '') ?? [];
  if (value === undefined) throw new Error(`no constant ${name}`);
  return Number(value);
}

describe('kernels and their WGSL files agree', () => {
  let device: Device;
  const kernels = new Map<string, Set<Kernel>>();
  beforeAll(async () => {
    device = await openDevice(await openGpu('null', { enable: ['allow_unsafe_apis'] }), {
      integerProducts: true,
    });
    const recorder = new CollectingRecorder(device);
    for (const record of Object.values(EVERY_OP)) record(recorder);
    for (const kernel of recorder.kernels) {
      kernels.set(kernel.name, (kernels.get(kernel.name) ?? new Set()).add(kernel));
    }
  });
  afterAll(() => device.dispose());

  describe.each(Object.entries(FILES))('%s', (name, file) => {
    function only(): Kernel {
      const [kernel, ...others] = kernels.get(name) ?? [];
      if (kernel === undefined || others.length > 0) {
        throw new Error(`${name}: expected one declaration`);
      }
      return kernel;
    }

    it('is declared once, from its own file', () => {
      expect(only().source).toBe(file);
    });

    it('has the bindings declared, in order, with the same names and access', () => {
      const declared = Object.entries(only().bindings).map(
        ([binding, access], i) => `0 ${i} ${DECLARED[access]} ${snakeCase(binding)}`,
      );
      expect(bindingsOf(file)).toEqual(declared);
    });

    it('reads no binding that the declaration only writes', () => {
      const written = Object.entries(only().bindings).filter(([, access]) => access === 'write');
      expect(written.map(([binding]) => binding).filter((b) => reads(file, snakeCase(b)))).toEqual(
        [],
      );
    });

    it('binds at most 8 storage buffers, and the counts last', () => {
      const accesses = Object.entries(only().bindings);
      expect(accesses.filter(([, access]) => access !== 'uniform').length).toBeLessThanOrEqual(8);
      const uniforms = accesses.filter(([, access]) => access === 'uniform');
      expect(uniforms).toEqual(accesses.slice(accesses.length - uniforms.length));
      expect(uniforms.map(([binding]) => binding)).toEqual(uniforms.length === 0 ? [] : ['counts']);
    });
  });
});

describe('numbers that TypeScript and WGSL share', () => {
  it('the counts of a step', () => {
    const counts = LIBRARY['counts'] ?? '';
    const named = COUNT_NAMES.filter((name) => counts.includes(`const ${name.toUpperCase()}:`));
    expect(named).toContain('tokens');
    for (const name of named) {
      expect(constant(counts, name.toUpperCase())).toBe(COUNT_NAMES.indexOf(name));
      expect(Recorder.rowsSlot({ count: name, capacity: 1 })).toBe(COUNT_NAMES.indexOf(name));
    }
    expect(Recorder.rowsSlot(0)).toBe(constant(counts, 'ROWS_FIXED'));
    expect(COUNT_NAMES.length).toBeLessThanOrEqual(constant(counts, 'ROWS_FIXED'));
  });

  it('the rows of the sampler', () => {
    const library = LIBRARY['sample_row'];
    expect(constant(library, 'ROW_WORDS')).toBe(SAMPLE_ROW_WORDS);
    expect(constant(library, 'RESULT_WORDS')).toBe(SAMPLE_RESULT_WORDS);
    const words = new Uint32Array(2 * SAMPLE_ROW_WORDS);
    const floats = new Float32Array(words.buffer);
    const params = {
      slot: 3,
      temperature: 0.5,
      topK: 5,
      topP: 0.25,
      minP: 0.125,
      repetitionPenalty: 2,
      frequencyPenalty: -1.5,
      presencePenalty: -0.5,
      seedLow: 7,
      seedHigh: 8,
      position: 9,
      biasStart: 10,
      biasCount: 11,
      topLogprobs: 12,
    } as const;
    encodeSampleRow(words, floats, 1, { ...params, wantsLogprobs: true, keepsHistory: true });
    const fractions = /temperature|P$|Penalty$/;
    for (const [name, value] of Object.entries(params)) {
      const word = SAMPLE_ROW_WORDS + constant(library, snakeCase(name).toUpperCase());
      expect([name, fractions.test(name) ? floats[word] : words[word]]).toEqual([name, value]);
    }
    const flags = constant(library, 'WANTS_LOGPROBS') | constant(library, 'KEEPS_HISTORY');
    expect(words[SAMPLE_ROW_WORDS + constant(library, 'FLAGS')]).toBe(flags);
    expect(words.subarray(0, SAMPLE_ROW_WORDS).every((word) => word === 0)).toBe(true);
  });

  it('the rows of a beam search', () => {
    const library = LIBRARY['beam_row'];
    expect(constant(library, 'ROW_WORDS')).toBe(BEAM_ROW_WORDS);
    expect(constant(FILES['beam_pick'], 'RESULT_WORDS')).toBe(BEAM_RESULT_WORDS);
    const words = new Uint32Array(2 * BEAM_ROW_WORDS);
    const params = { count: 3, ruleStart: 5, ruleCount: 7, renormalizes: true } as const;
    encodeBeamRow(words, 1, params);
    for (const [name, value] of Object.entries({ ...params, renormalizes: 1 })) {
      const word = BEAM_ROW_WORDS + constant(library, snakeCase(name).toUpperCase());
      expect([name, words[word]]).toEqual([name, value]);
    }
    expect(words.subarray(0, BEAM_ROW_WORDS).every((word) => word === 0)).toBe(true);
    expect(library).toContain(
      `const FORBIDS: f32 = ${FORBIDDEN_FACTOR.toExponential().replace('+', '')};`,
    );
    expect(FORBIDDEN_FACTOR).toBe(FORBIDDEN);
  });

  it('the marks of token ids and of their history', () => {
    expect(constant(LIBRARY['token'], 'LAST_TOKEN')).toBe(LAST_TOKEN);
    expect(FILES['sample_scan']).toContain(`past & 0x${(HISTORY_PROMPT - 1).toString(16)}u`);
  });

  it('the activations, in order', () => {
    const cases = /(?:case (\d)u|default): \{ \/\/ (\w+)/g;
    const names = Array.from(LIBRARY['activation']?.matchAll(cases) ?? [], ([, , name]) => name);
    expect(names).toEqual([...ACTIVATIONS]);
  });
});
