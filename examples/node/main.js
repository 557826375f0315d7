// Streams a reply to the terminal.
import { Engine } from 'quern';
import { openDirectory, openGpu } from 'quern/node';

const [prompt = 'Tell me a story about a cat.', folder = 'weights/tinychat'] =
  process.argv.slice(2);

// For a model of the hub, give its id in place of openDirectory(…).
const engine = await Engine.load(openDirectory(folder), { gpu: await openGpu() });
try {
  const stream = await engine.chat.completions.create({
    messages: [{ role: 'user', content: prompt }],
    stream: true,
  });
  for await (const { choices } of stream) process.stdout.write(choices[0]?.delta.content ?? '');
  process.stdout.write('\n');
} finally {
  await engine.dispose();
}
