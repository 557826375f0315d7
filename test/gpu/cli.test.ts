import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import type { ChatCompletion, Completion } from '../../src/engine/openai.ts';
import { Engine } from '../../src/index.ts';
import type { ParityReport } from '../../src/engine/inspect.ts';
import type { BenchReport } from '../../src/cli/bench.ts';
import { main } from '../../src/cli/main.ts';
import type { Plan } from '../../src/cli/plan.ts';
import { Interrupted } from '../../src/cli/terminal.ts';
import { openDirectory } from '../../src/node/directory.ts';
import { openTestGpu, TEST_ADAPTERS } from '../support/adapters.ts';
import { fakeTerminal } from '../unit/cli/fake_terminal.ts';

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
    expect(plan.memory.map(({ contextLength }) => contextLength)).toEqual([300, 512]);
    expect(plan).toMatchObject({ fits: true, parameters: stats.model.parameters });
    const model = plan.download.files.find(({ name }) => name === 'model.safetensors');
    expect(model?.bytes).toBeGreaterThan(plan.weights['F16']?.bytes ?? Infinity);
  });
});

describe('quern bench', () => {
  it('measures speed and counts calls: one submit, one pass, nothing created', async (context) => {
    const sizes = ['--prompt-tokens', '9', '--gen-tokens', '12', '--repetitions', '1'];
    const { exitCode, out } = await quern(context, 'bench', CHAT, ...sizes, '--json');
    expect(exitCode).toBe(0);
    const report: BenchReport = JSON.parse(out);
    expect(report).toMatchObject({
      promptTokens: 9,
      generatedTokens: 12,
      repetitions: 1,
      notes: [],
    });
    for (const key of [
      'prefillTokensPerSecond',
      'decodeTokensPerSecond',
      'timeToFirstTokenMs',
    ] as const) {
      expect(report[key].median).toBeGreaterThan(0);
    }
    const { dispatches, ...others } = report.callsPerToken;
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
