import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { createApp } from './support/app.ts';
import { run } from './support/tarball.ts';

const TSC = fileURLToPath(new URL('../../node_modules/typescript/lib/tsc.js', import.meta.url));

const OPTIONS = {
  target: 'ES2023',
  lib: ['ES2024', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable', 'ESNext.Disposable'],
  module: 'preserve',
  strict: true,
  exactOptionalPropertyTypes: true,
  // The package's own declarations are checked too, with the browser's types as TypeScript has them.
  skipLibCheck: false,
  types: [],
  noEmit: true,
};

const CONSUMER = `
import 'quern/worker';
import { type ChatCompletionChunk, type EngineStats, Engine, NoWebGpuError } from 'quern';
import { openDirectory, openGpu } from 'quern/node';

export async function use(gpu: GPU): Promise<EngineStats | string> {
  try {
    await using engine: Engine = await Engine.load('owner/name', { gpu, worker: 'shared' });
    const params = { messages: [{ role: 'user', content: 'Hello!' }], stream: true } as const;
    const chunks: AsyncIterable<ChatCompletionChunk> = await engine.chat.completions.create(params);
    for await (const chunk of chunks) {
      const text: string | undefined = chunk.choices[0]?.delta.content;
      // @ts-expect-error
      const wrong: number = text;
    }
    // @ts-expect-error
    await engine.completions.create({ prompt: 5 });
    return await engine.stats();
  } catch (error) {
    return error instanceof NoWebGpuError ? error.message : '';
  }
}

export const inNode = async (): Promise<Engine> =>
  Engine.load(openDirectory('models/a'), { gpu: await openGpu() });
`;

it('has types that hold without any other package', () => {
  const folder = createApp({
    'main.ts': CONSUMER,
    'tsconfig.json': JSON.stringify({ compilerOptions: OPTIONS, include: ['main.ts'] }),
  });
  expect(existsSync(`${folder}/node_modules/@webgpu`)).toBe(false);
  // Throws with the errors that the compiler finds.
  expect(run(process.execPath, [TSC, '-p', folder], folder)).toBe('');
});

it('has types for React and the AI SDK', () => {
  const folder = createApp(
    {
      'main.ts': `
import { Engine } from 'quern';
import { quern, QuernChatTransport } from 'quern/ai-sdk';
import { useChat, type UseChat } from 'quern/react';
import type { LanguageModel } from 'ai';

export const chat = (): UseChat => useChat({ model: 'owner/name', load: { worker: true } });
export const model = (engine: Engine): LanguageModel => quern(engine);
export const transport = (engine: Engine): unknown => new QuernChatTransport(engine);
`,
      'tsconfig.json': JSON.stringify({
        // Those packages' own declarations are theirs to answer for.
        compilerOptions: { ...OPTIONS, skipLibCheck: true },
        include: ['main.ts'],
      }),
    },
    ['ai@7.0.173', '@ai-sdk/provider@4.0.38', 'react@19.3.1', '@types/react@19.3.0'],
  );
  expect(run(process.execPath, [TSC, '-p', folder], folder)).toBe('');
});
