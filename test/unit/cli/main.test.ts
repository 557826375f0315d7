import { describe, expect, it } from 'vitest';
import { testsOf } from '../../../src/cli/bench.ts';
import { main } from '../../../src/cli/main.ts';
import { lengthsToPlan } from '../../../src/cli/plan_memory.ts';
import { Interrupted } from '../../../src/cli/terminal.ts';
import { CONFORMANCE } from '../../support/model_files.ts';
import { fakeTerminal } from './fake_terminal.ts';

const LLAMA = `${CONFORMANCE}/llama`;
const BERT = `${CONFORMANCE}/bert-base`;
const T5 = `${CONFORMANCE}/t5`;

describe('main', () => {
  it('lists the commands', async () => {
    const terminal = fakeTerminal();
    expect(await main(['--help'], terminal)).toBe(0);
    for (const name of ['generate', 'encode', 'serve', 'parity', 'bench', 'plan']) {
      expect(terminal.written.out).toContain(`  ${name} `);
      const help = fakeTerminal();
      expect(await main([name, '--help'], help)).toBe(0);
      expect(help.written.out).toMatch(
        /Usage: .*\n\n(.|\n)*Options:\n(.|\n)*Examples:\n {2}(npm run )?quern /,
      );
    }
  });

  it.each([
    [[], 'no command'],
    [['grind'], 'unknown command "grind"'],
    [['parity'], 'parity: 0 arguments, expected at least 1'],
    [['parity', 'x', '--tolerance', 'tight'], '--tolerance: "tight", expected a number'],
    [['parity', 'x', '--adapter', 'cpu'], '--adapter: "cpu", expected one of: default'],
    [['parity', 'x', '--browser', 'lynx'], '--browser: "lynx", expected one of: chromium'],
    [['parity', 'x', '--browser', 'firefox', '--adapter', 'lavapipe'], '--adapter is for Node'],
    [['generate', 'x'], '--prompt is missing'],
    [['generate', 'x', '--prompt', 'y', '--top-p', 'most'], '--top-p: "most"'],
    [['generate', 'x', '--prompt', 'y', '--max-tokens', '0'], '--max-tokens: "0"'],
    [['generate', 'x', '--prompt', 'y', '--logit-bias', '5'], '--logit-bias: "5"'],
    [['generate', 'x', '--prompt', 'y', '--raw', '--system', 'z'], '--system needs the chat'],
    [['generate', 'x', '--prompt', 'y', '--beams', 'many'], '--beams: "many"'],
    [['generate', LLAMA, '--prompt', 'y', '--beams', '2'], '--beams is not for a decoder'],
    [['generate', LLAMA, '--prompt', 'y', '--input', '2'], '--input is not for a decoder'],
    [['generate', T5, '--prompt', 'y', '--raw'], '--raw is not for an encoder-decoder'],
    [['generate', T5, '--prompt', 'y', '--stop', 'z'], '--stop is not for an encoder-decoder'],
    [['generate', BERT, '--prompt', 'y'], `${BERT} is an encoder, expected a decoder or an`],
    [['encode', 'x'], '--text is missing'],
    [['encode', 'x', '--text', 'y', '--pooling', 'max'], '--pooling: "max", expected one of: mean'],
    [['encode', 'x', '--text', 'y', '--text', 'z', '--pair', 'y'], '1 --pair and 2 --text'],
    [['encode', T5, '--text', 'y'], 'is an encoder-decoder, expected an encoder; use'],
    [['serve', T5, '--port', '0'], 'is an encoder-decoder, expected a decoder; use'],
    [['plan', BERT, '--context', '9'], '--context is not for an encoder; use --input'],
    [['plan', BERT, '--kv', 'f32'], '--kv is not for an encoder'],
    [['plan', LLAMA, '--input', '9'], '--input is not for a decoder; use --context'],
    [['plan', T5, '--input', '0'], '--input: "0", expected an integer'],
    [['bench', '--repetitions', '0'], '--repetitions: "0"'],
    [['bench', BERT, '--shape', 'minilm'], 'several models, expected one of MODEL'],
    [['bench', '--shape', 'gpt-9'], '--shape: "gpt-9", expected one of: smollm2-135m'],
    [['bench', '--kernels', 'matmul', '--sizes', '3x4x5'], '--sizes: "3x4x5"'],
    [['bench', '--kernels', 'matmul', '--least-ms', '0'], '--least-ms: "0"'],
    [['bench', '--kernels', 'matmul', '--profile'], '--profile says nothing with --kernels'],
    [['bench', '--kernels', 'matmul', BERT], 'says nothing with --kernels; give --shape'],
    [['bench', '--kernels', 'matmul', '--load'], '--load says nothing with --kernels'],
    [['bench', '--json', '--csv'], 'several forms of output, expected one of --json, --csv'],
    [['bench', '--sizes', '64x64'], '--sizes says nothing without --kernels'],
    [['serve', 'x', '--port', 'http'], '--port: "http", expected an integer'],
    [['serve', 'x', '--port', '0', '--api-key', ''], '--api-key: "", expected a text'],
    [['serve', 'x', '--cors-origin', 'example.org'], '--cors-origin: "example.org", expected'],
    [['serve', 'x', '--host', 'no.such.host.invalid'], 'is not to be had (E'],
    [['plan', 'x', '--kv', 'int8'], '--kv: "int8", expected one of: f32, f16, q8'],
    [['plan', 'x', '--weights', 'int4'], '--weights: "int4", expected one of: auto, f32, f16, q8'],
    [['serve', 'x', '--weights', 'q2'], '--weights: "q2", expected one of: auto'],
    [['plan', 'x', '--colour'], "plan: Unknown option '--colour'"],
  ])('exits with 2 for %j', async (argv, message) => {
    const terminal = fakeTerminal();
    expect(await main(argv, terminal)).toBe(2);
    expect(terminal.written.out).toBe('');
    expect(terminal.written.err).toMatch(/^error: [^\n]*\n$/);
    expect(terminal.written.err).toContain(message);
  });

  it('shows the stack of an error when asked', async () => {
    const terminal = fakeTerminal();
    expect(await main(['plan', 'x', '--kv', 'int8', '--verbose'], terminal)).toBe(2);
    expect(terminal.written.err).toMatch(/^error: [^\n]*\nUsageError: .*\n +at /);
  });

  it('reports an abort by its exit code alone', async () => {
    const signal = AbortSignal.abort(new Interrupted('interrupted', 130));
    const terminal = fakeTerminal('', signal);
    expect(await main(['plan', 'x', '--kv', 'int8'], terminal)).toBe(130);
    expect(terminal.written.err).toBe('');
  });
});

describe('testsOf', () => {
  it('leaves the tests to the kind of the model', () => {
    expect(testsOf({}, 'encoder')).toBeUndefined();
    expect(testsOf({ 'prompt-tokens': '9' }, 'encoder')).toEqual(['enc9', 'enc9x8']);
    expect(testsOf({ 'gen-tokens': '9' }, 'seq2seq')).toEqual(['enc512', 'tg9']);
  });

  it.each([
    [{ tests: 'pp7,tg9@d5' }, ['pp7', 'tg9@d5']],
    [{ 'prompt-tokens': '9' }, ['pp9', 'tg128', 'tg128@d4096']],
    [{ 'gen-tokens': '12', depth: '0' }, ['pp512', 'tg12']],
    [{ depth: '64', streams: '1,2,8' }, ['pp512', 'tg128', 'tg128@d64', 'tg128x2', 'tg128x8']],
    [{ tests: 'pp8', streams: '2', 'gen-tokens': '16' }, ['pp8', 'tg16x2']],
  ])('reads %j', (values, expected) => {
    expect(testsOf(values, 'decoder')).toEqual(expected);
  });
});

describe('lengthsToPlan', () => {
  it.each([
    [256, 1024, 256, [256]],
    [1024, 1024, 1024, [1024]],
    [4096, 1024, 131_072, [4096, 1024, 16_384, 65_536, 131_072]],
    [2000, 1024, 8192, [2000, 1024, 4096, 8192]],
    [8192, 1024, 8192, [8192, 1024, 4096]],
    [512, 128, 512, [512, 128]],
  ])('plans %i, then from %i to %i', (first, least, longest, expected) => {
    expect(lengthsToPlan(first, least, longest)).toEqual(expected);
  });
});
