// Asks a model that `quern serve` serves, with the client of OpenAI.
import OpenAI from 'openai';

const [prompt = 'Hello, who are you?'] = process.argv.slice(2);
const openai = new OpenAI({
  baseURL: process.env.OPENAI_BASE_URL ?? 'http://127.0.0.1:8000/v1',
  apiKey: process.env.OPENAI_API_KEY ?? 'none needed',
});

const { data } = await openai.models.list();
const stream = await openai.chat.completions.create({
  model: data[0]?.id ?? '',
  messages: [{ role: 'user', content: prompt }],
  stream: true,
  stream_options: { include_usage: true },
});
for await (const { choices, usage } of stream) {
  process.stdout.write(choices[0]?.delta.content ?? '');
  if (usage) process.stdout.write(`\n(${usage.total_tokens} tokens)\n`);
}
