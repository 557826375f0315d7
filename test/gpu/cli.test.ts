import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import type { ChatCompletion, Completion } from '../../src/engine/openai.ts';
import { Encoder, Engine, Seq2Seq, type Seq2SeqResult } from '../../src/index.ts';
import type { ParityReport } from '../../src/engine/inspect.ts';
import type { BenchOutput } from '../../src/cli/bench.ts';
import type { EncodeReading } from '../../src/cli/encode_results.ts';
import { main } from '../../src/cli/main.ts';
import type { Plan } from '../../src/cli/plan.ts';
import { Interrupted } from '../../src/cli/terminal.ts';
import { openDirectory } from '../../src/node/directory.ts';
import { openTestGpu, TEST_ADAPTERS } from '../support/adapters.ts';
import { fakeTerminal } from '../unit/cli/fake_terminal.ts';
import { bertTokenizerJson } from '../unit/tokenizer/tiny_tokenizers.ts';

const CHAT = 'weights/tinychat';
const FIXTURES = 'test/fixtures/conformance';

/** The commands are the same on every adapter: one is enough. */
const [adapter = 'default'] = TEST_ADAPTERS;
let gpu: GPU | string;
beforeAll(async () => {
  gpu = await openTestGpu(adapter);
});

/** Runs a command line on the adapter. */
async function quern(context: TestContext, ...argv: readonly string[]) {
  if (typeof gpu === 'string') context.skip(gpu);
  const terminal = fakeTerminal('Hello!\n');
  const exitCode = await main([...argv, '--adapter', adapter], terminal);
  return { exitCode, ...terminal.written };
}

describe('quern parity', () => {
  it('prints one JSON object per folder, also for those that cannot be run', async (context) => {
    const dirs = [`${FIXTURES}/llama`, 'no such folder', 'src', `${FIXTURES}/llama-f16-sharded`];
    const { exitCode, out } = await quern(context, 'parity', ...dirs, '--json');
    expect(exitCode).toBe(1);
    expect(out.endsWith('\n')).toBe(true);
    const reports = out
      .trimEnd()
      .split('\n')
      .map((line): ParityReport => JSON.parse(line));
    expect(reports.map(({ dir, ok }) => ({ dir, ok }))).toEqual(
      dirs.map((dir) => ({ dir, ok: dir.startsWith(FIXTURES) })),
    );
    const [llama, absent, empty] = reports;
    expect(Object.keys(llama ?? {})).toEqual(['dir', 'ok', 'adapter', 'tensors', 'greedy']);
    const names = ['hidden_states.0', 'hidden_states.1', 'hidden_states.2', 'logits'];
    expect(Object.keys(llama?.tensors ?? {}).toSorted()).toEqual(names);
    for (const { maxAbs, maxRef, rel } of Object.values(llama?.tensors ?? {})) {
      expect(rel).toBeCloseTo(maxAbs / maxRef, 12);
      expect(rel).toBeLessThan(1e-4);
    }
    expect(llama?.greedy).toEqual({
      expected: llama?.greedy?.actual,
      actual: llama?.greedy?.expected,
      equal: true,
    });
    expect(absent).toMatchObject({ tensors: {}, greedy: null });
    expect(absent?.error).toContain('no such folder: there is nothing at this path');
    expect(empty?.error).toContain('config.json: missing');
  });

  it('prints a table, and fails what is outside of the tolerance', async (context) => {
    const dir = `${FIXTURES}/mistral`;
    const agreeing = await quern(context, 'parity', dir);
    expect(agreeing.exitCode).toBe(0);
    expect(agreeing.out).toMatch(/^ok +test\/fixtures\/conformance\/mistral on /);
    expect(agreeing.out).toMatch(
      /\n {2}logits( +\d\.\d\de[-+]\d+){3}\n {2}greedy: \d+ ids equal\n$/,
    );
    const strict = await quern(context, 'parity', dir, '--tolerance', '0');
    expect(strict.exitCode).toBe(1);
    expect(strict.out).toMatch(/^FAILED/);
  });
});

describe('quern generate', () => {
  it('streams what the JSON reply says, with and without the chat template', async (context) => {
    const limit = ['--max-tokens', '8', '--temperature', '0'];
    const prompt = ['generate', CHAT, '--prompt', 'Hello!', ...limit];
    const streamed = await quern(context, ...prompt, '--stats');
    expect(streamed).toMatchObject({ exitCode: 0 });
    expect(streamed.err).toMatch(
      /\d+ prompt tokens \(0 cached\), \d generated; .*\n(.*\n)*GPU memory/,
    );
    const chat: ChatCompletion = JSON.parse((await quern(context, ...prompt, '--json')).out);
    expect(streamed.out).toBe(`${chat.choices[0]?.message.content}\n`);
    expect(chat.usage.completion_tokens).toBeGreaterThan(0);

    const input = ['generate', CHAT, '--raw', '--prompt', '-', ...limit];
    const raw: Completion = JSON.parse((await quern(context, ...input, '--json')).out);
    expect(raw.object).toBe('text_completion');
    expect(raw.usage.prompt_tokens).toBeLessThan(chat.usage.prompt_tokens);
    const cut = await quern(context, ...input, '--stop', raw.choices[0]?.text.slice(2, 5) ?? '');
    expect(cut.out).toBe(`${raw.choices[0]?.text.slice(0, 2)}\n`);
  });

  it('says in one line what is wrong', async (context) => {
    const { exitCode, out, err } = await quern(context, 'generate', './nowhere', '--prompt', 'x');
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' });
    expect(err).toMatch(/^error: \.\/nowhere: there is nothing at this path[^\n]*\n$/);
  });

  it('stops in the middle of a reply', async (context) => {
    if (typeof gpu === 'string') context.skip(gpu);
    const controller = new AbortController();
    const terminal = fakeTerminal('', controller.signal);
    const exitCode = await main(
      ['generate', CHAT, '--prompt', 'Hello!', '--ignore-eos', '--adapter', adapter],
      {
        ...terminal,
        out(text) {
          terminal.out(text);
          controller.abort(new Interrupted('interrupted', 130));
        },
      },
    );
    expect(exitCode).toBe(130);
    expect(terminal.written.out.length).toBeLessThan(40);
  });
});

describe('quern plan', () => {
  it('foretells the memory that an engine takes', async (context) => {
    const { exitCode, out } = await quern(context, 'plan', CHAT, '--json', '--context', '300');
    expect(exitCode).toBe(0);
    const plan: Plan = JSON.parse(out);
    if (typeof gpu === 'string') throw new Error(gpu);
    const engine = await Engine.load(openDirectory(CHAT), { gpu, contextLength: 300 });
    const stats = await engine.stats();
    await engine.dispose();
    expect(plan.memory[0]).toMatchObject({ contextLength: 300, bytes: stats.memory });
    expect(plan.memory[0]).toMatchObject({
      kvTokens: stats.kvCache.pages * stats.kvCache.pageSize,
    });
    expect(plan.memory).toMatchObject([{ contextLength: 300 }, { contextLength: 512 }]);
    expect(plan).toMatchObject({ fits: true, parameters: stats.model.parameters });
    const model = plan.download.files.find(({ name }) => name === 'model.safetensors');
    expect(model?.bytes).toBeGreaterThan(plan.weights['F16']?.bytes ?? Infinity);
  });
});

describe('models of other kinds', () => {
  const folders: string[] = [];
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });
  /** A fixture with a tokenizer of the words a to z. */
  const withTokenizer = (fixture: string): string => {
    const folder = mkdtempSync(join(tmpdir(), 'quern-'));
    folders.push(folder);
    cpSync(`${FIXTURES}/${fixture}`, folder, { recursive: true });
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(bertTokenizerJson()));
    return folder;
  };

  it('plan foretells the memory that an encoder takes for a text', async (context) => {
    const dir = `${FIXTURES}/bert-mlm`;
    const asked = ['--input', '100', '--weights', 'q8'];
    const { exitCode, out } = await quern(context, 'plan', dir, '--json', ...asked);
    expect(exitCode).toBe(0);
    const plan: Plan = JSON.parse(out);
    if (typeof gpu === 'string') throw new Error(gpu);
    const options = { gpu, selfTest: 'never', weights: 'q8' } as const;
    const encoder = await Encoder.load(openDirectory(dir), options);
    await encoder.encode({ ids: Array.from({ length: 100 }, () => 7) });
    const { memory, model } = await encoder.stats();
    await encoder.dispose();
    expect(plan).toMatchObject({ kind: 'encoder', kvDtype: null, fits: true });
    expect(plan.stored).toEqual(model.weights);
    const { f32, f16, q8, q4 } = plan.forms;
    expect([q4, q8, f16, f32]).toEqual([q4, q8, f16, f32].toSorted((a, b) => a - b));
    expect(plan.memory[0]).toMatchObject({ texts: 1, textLength: 100, bytes: memory });
    expect(plan.memory.slice(1)).toMatchObject([
      { texts: 1, textLength: 128, fits: true },
      { textLength: 32, fits: true },
    ]);
    expect((await quern(context, 'plan', dir)).out).toContain('fits in the limits');
  });

  it('plan foretells the memory that an encoder-decoder takes for an input', async (context) => {
    const dir = `${FIXTURES}/bart`;
    const sizes = ['--context', '60', '--input', '90', '--kv', 'f32'];
    const { exitCode, out } = await quern(context, 'plan', dir, '--json', ...sizes);
    expect(exitCode).toBe(0);
    const plan: Plan = JSON.parse(out);
    if (typeof gpu === 'string') throw new Error(gpu);
    const limits = { contextLength: 60, inputLength: 90, kvDtype: 'f32' } as const;
    const options = { gpu, ...limits, selfTest: 'never' } as const;
    const model = await Seq2Seq.load(openDirectory(dir), options);
    await model.generate(
      { ids: Array.from({ length: 90 }, () => 7) },
      { max_new_tokens: 1, num_beams: 1 },
    );
    const { memory, kvCache } = await model.stats();
    await model.dispose();
    expect(plan).toMatchObject({ kind: 'seq2seq', kvDtype: 'f32', fits: true });
    const kvTokens = kvCache.pages * kvCache.pageSize;
    const planned = { contextLength: 60, inputLength: 90, kvTokens, bytes: memory };
    expect(plan.memory[0]).toMatchObject(planned);
    expect(plan.memory.slice(1)).toMatchObject([{ contextLength: 60, inputLength: 128 }]);
    const tooLong = await quern(context, 'plan', dir, '--input', '129');
    expect(tooLong).toMatchObject({ exitCode: 1 });
    expect(tooLong.err).toContain('129, expected at most');
  });

  it('generate streams what the JSON result says, with beams and without', async (context) => {
    const prompt = ['generate', withTokenizer('t5'), '--prompt', 'd e f', '--max-tokens', '6'];
    for (const way of [[], ['--beams', '2'], ['--temperature', '0.8', '--seed', '1']]) {
      const streamed = await quern(context, ...prompt, ...way, '--stats');
      expect(streamed.exitCode).toBe(0);
      expect(streamed.err).toMatch(/^5 input tokens, \d generated in .*\n(.*\n)*GPU memory/);
      const json = await quern(context, ...prompt, ...way, '--json');
      const result: Seq2SeqResult = JSON.parse(json.out);
      expect(streamed.out).toBe(`${result.text}\n`);
      expect(result.sequences).toHaveLength(1);
      expect(result.score === undefined).toBe(way[0] !== '--beams');
    }
  });

  it('encode prints what the head of a checkpoint says', async (context) => {
    const texts = ['--text', 'a b [MASK]', '--text', 'c', '--json'];
    const { exitCode, out } = await quern(context, 'encode', withTokenizer('bert-mlm'), ...texts);
    expect(exitCode).toBe(0);
    const [guessed, none]: EncodeReading[] = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(guessed).toMatchObject({ text: 'a b [MASK]', tokens: 5, masks: [{ position: 3 }] });
    expect(guessed?.masks?.[0]?.guesses).toHaveLength(5);
    expect(none).toEqual({ text: 'c', tokens: 3, masks: [] });

    const dir = withTokenizer('bert-qa');
    const pair = ['--text', 'a b', '--pair', 'c d e f'];
    const answered = await quern(context, 'encode', dir, ...pair);
    expect(answered.out).toMatch(/^"[c-f]( [c-f])*" +0\.\d+\n$/);
    const alone = await quern(context, 'encode', dir, '--text', 'a b');
    expect(alone).toMatchObject({ exitCode: 2, out: '' });
    expect(alone.err).toContain('--pair is missing');
    const pooled = await quern(context, 'encode', dir, '--text', 'a', '--pooling', 'first');
    expect(pooled.out).toMatch(/^vector of 64( +-?\d+(\.\d+)?){8} +…\n$/);
  });
});

describe('quern bench', () => {
  it('measures speed and counts calls: one submit, one pass, nothing created', async (context) => {
    const options = ['--tests', 'pp9,tg16', '--repetitions', '2', '--json'];
    const { exitCode, out } = await quern(context, 'bench', CHAT, ...options);
    expect(exitCode).toBe(0);
    const { schema, model, settings, peaks, results, notes, command }: BenchOutput =
      JSON.parse(out);
    expect({ schema, notes, kind: model.kind, repetitions: settings.repetitions }).toEqual({
      schema: 'quern-bench/1',
      notes: [],
      kind: 'decoder',
      repetitions: 2,
    });
    expect(command).toContain('quern bench weights/tinychat --tests pp9,tg16');
    expect(peaks?.readGigabytesPerSecond.median).toBeGreaterThan(0);
    expect(results.map(({ test, limit }) => [test, limit?.by])).toEqual([
      ['pp9', 'arithmetic'],
      ['tg16', 'bandwidth'],
    ]);
    for (const { tokensPerSecond, limit } of results) {
      expect(tokensPerSecond.runs).toHaveLength(2);
      expect(tokensPerSecond.min).toBeGreaterThan(0);
      expect(limit?.share).toBeGreaterThan(0);
    }
    const { dispatches, ...others } = results[1]?.callsPerToken ?? { dispatches: 0 };
    expect(dispatches).toBeGreaterThan(6);
    expect(others).toEqual({
      passes: 1,
      submits: 1,
      readbacks: 1,
      buffers: 0,
      bindGroups: 0,
      pipelines: 0,
      shaderModules: 0,
    });
  });
});
