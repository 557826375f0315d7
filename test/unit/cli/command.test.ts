import { describe, expect, it } from 'vitest';
import {
  choiceValue,
  countValue,
  defineCommand,
  numberValue,
  UsageError,
} from '../../../src/cli/command.ts';
import { fakeTerminal } from './fake_terminal.ts';

const seen: unknown[] = [];
const grind = defineCommand({
  name: 'grind',
  usage: 'GRAIN [options]',
  summary: 'grinds a grain',
  options: {
    stone: { type: 'string', value: 'N', help: 'which stone' },
    add: { type: 'string', multiple: true, help: 'what to mix in' },
    fast: { type: 'boolean', help: 'hurry' },
  },
  examples: ['grind rye'],
  arguments: { min: 1, max: 1 },
  async run(values, args, _terminal, argv) {
    seen.push({ values: { ...values }, args, argv });
    return 3;
  },
});

describe('defineCommand', () => {
  it('passes options, arguments and the exit code on', async () => {
    const argv = ['rye', '--stone', '2', '--add', 'a', '--add=b', '--fast'];
    expect(await grind.run(argv, fakeTerminal())).toBe(3);
    const values = { stone: '2', add: ['a', 'b'], fast: true };
    expect(seen.pop()).toEqual({ values, args: ['rye'], argv });
  });

  it('takes a lone dash for a value', async () => {
    await grind.run(['rye', '--stone', '-'], fakeTerminal());
    expect(seen.pop()).toMatchObject({ values: { stone: '-' } });
  });

  it('prints its help with every option and example, whatever else is given', async () => {
    const terminal = fakeTerminal();
    expect(await grind.run(['--help'], terminal)).toBe(0);
    const { out } = terminal.written;
    expect(out).toContain('grind GRAIN [options]');
    expect(out).toContain('Grinds a grain.');
    expect(out).toMatch(/--stone N +which stone/);
    expect(out).toMatch(/--add VALUE +what to mix in \(repeatable\)/);
    for (const text of ['--fast', '--verbose', '--help', 'grind rye']) expect(out).toContain(text);
  });

  it.each([
    [['rye', '--coarse'], /grind: .*--coarse/],
    [['rye', '--stone'], /grind: .*--stone/],
    [['rye', '--fast=yes'], /grind: .*--fast/],
    [[], /grind: 0 arguments, expected 1: GRAIN/],
    [['rye', 'oats'], /grind: 2 arguments, expected 1: GRAIN/],
  ])('refuses %j', async (argv, message) => {
    const run = grind.run(argv, fakeTerminal());
    await expect(run).rejects.toThrow(UsageError);
    await expect(run).rejects.toThrow(message);
  });
});

describe('values', () => {
  it('reads numbers', () => {
    expect(numberValue('x', '-1.5e-3')).toBe(-0.0015);
    for (const bad of ['', ' ', 'one', 'NaN', 'Infinity', '1,5']) {
      expect(() => numberValue('x', bad)).toThrow(`--x: ${JSON.stringify(bad)}, expected a number`);
    }
  });

  it('reads counts', () => {
    expect(countValue('n', '12')).toBe(12);
    expect(countValue('n', '0', 0)).toBe(0);
    for (const bad of ['', '0', '-1', '1.5', '1e99', 'x']) {
      expect(() => countValue('n', bad)).toThrow('expected an integer ≥ 1');
    }
  });

  it('reads choices', () => {
    expect(choiceValue('c', 'b', ['a', 'b'])).toBe('b');
    expect(() => choiceValue('c', 'B', ['a', 'b'])).toThrow('--c: "B", expected one of: a, b');
  });
});
