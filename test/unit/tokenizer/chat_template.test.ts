import { describe, expect, it } from 'vitest';
import { type ChatMessage, parseMessages } from '../../../src/tokenizer/chat_template.ts';
import { createTokenizer, type Tokenizer } from '../../../src/tokenizer/tokenizer.ts';
import { RequestError, TokenizerError } from '../../../src/util/errors.ts';
import { tokenizerJson } from './tiny_tokenizers.ts';

const CHATML = `{% for message in messages %}
<|{{ message.role }}|>{{ message.content | trim }}
{% endfor %}
{% if add_generation_prompt %}
<|assistant|>
{%- endif %}`;

const PARTS = `{% for message in messages %}
{% for part in message.content %}[{{ part.text }}]{% endfor %}
{% endfor %}`;

const hello: ChatMessage[] = [{ role: 'user', content: 'Hello' }];

function withTemplate(chat_template: unknown, rest: Record<string, unknown> = {}): Tokenizer {
  const tokenizerConfig = {
    chat_template,
    bos_token: '<s>',
    eos_token: { content: '</s>' },
    ...rest,
  };
  return createTokenizer({ tokenizerJson: tokenizerJson(['a']), tokenizerConfig });
}

describe('renderChat', () => {
  it('renders messages, with and without the opening of the reply', () => {
    const tokenizer = withTemplate(CHATML);
    expect(tokenizer.renderChat(hello)).toBe('<|user|>Hello\n<|assistant|>');
    expect(tokenizer.renderChat(hello, { addGenerationPrompt: false })).toBe('<|user|>Hello\n');
  });

  it('gives the template special tokens, tools and variables of the caller', () => {
    const template =
      '{{ bos_token }}{{ eos_token }}{{ pad_token }}|{{ tools[0].name }}|{{ mood }}|{{ additional_special_tokens[0] }}';
    const tokenizer = withTemplate(template, { additional_special_tokens: ['<tool>'] });
    const options = { tools: [{ name: 'f' }], context: { mood: 'calm' } };
    expect(tokenizer.renderChat(hello, options)).toBe('<s></s>|f|calm|<tool>');
  });

  it('gives no tools as none', () => {
    expect(withTemplate('{{ tools is none }}').renderChat(hello)).toBe('true');
  });

  it('tells the date', () => {
    const year = withTemplate('{{ strftime_now("%Y") }}').renderChat(hello);
    expect(Math.abs(Number(year) - new Date().getFullYear())).toBeLessThanOrEqual(1);
  });

  it('chooses among named templates', () => {
    const tokenizer = withTemplate([
      { name: 'default', template: 'plain' },
      { name: 'tool_use', template: 'tools' },
    ]);
    expect(tokenizer.renderChat(hello)).toBe('plain');
    expect(tokenizer.renderChat(hello, { tools: [] })).toBe('tools');
    const unnamed = withTemplate([{ name: 'rag', template: 'x' }]);
    expect(() => unnamed.renderChat(hello)).toThrow(
      'found templates named rag, expected one named default',
    );
  });

  it('prefers a template given as a file', () => {
    const tokenizer = createTokenizer({
      tokenizerJson: tokenizerJson(['a']),
      tokenizerConfig: { chat_template: 'config' },
      chatTemplate: 'file',
    });
    expect(tokenizer.renderChat(hello)).toBe('file');
  });

  it('puts content into the form that the template reads', () => {
    const parts: ChatMessage[] = [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Hel' },
          { type: 'text', text: 'lo' },
        ],
      },
    ];
    expect(withTemplate(CHATML).renderChat(parts)).toBe('<|user|>Hello\n<|assistant|>');
    expect(withTemplate(PARTS).renderChat(parts)).toBe('[Hel][lo]');
    expect(withTemplate(PARTS).renderChat(hello)).toBe('[Hello]');
  });

  it('passes on fields that it does not know', () => {
    const tokenizer = withTemplate(
      '{{ messages[0].tool_calls[0].id }}{{ messages[0].content is none }}',
    );
    const call = { role: 'assistant', content: null, tool_calls: [{ id: 'call_1' }] };
    expect(tokenizer.renderChat([call])).toBe('call_1true');
  });
});

describe('renderChat without a usable template', () => {
  it('says what to do without a template', () => {
    const tokenizer = withTemplate(null);
    expect(tokenizer.hasChatTemplate).toBe(false);
    expect(withTemplate(CHATML).hasChatTemplate).toBe(true);
    expect(() => tokenizer.renderChat(hello)).toThrow(TokenizerError);
    expect(() => tokenizer.renderChat(hello)).toThrow('use completions, or pass a chat template');
  });

  it.each([
    ["{{ raise_exception('roles must alternate') }}", 'chat template: roles must alternate'],
    ['{% if x %}', 'chat template: '],
    ['{{ messages[0].content | frobnicate }}', 'chat template: '],
    ['{{ unknown() }}', 'chat template: '],
  ])('reports a template that fails: %s', (template, message) => {
    const tokenizer = withTemplate(template);
    expect(() => tokenizer.renderChat(hello)).toThrow(TokenizerError);
    expect(() => tokenizer.renderChat(hello)).toThrow(message);
    expect(tokenizer.encode('a')).toEqual([3]);
  });

  it.each([[3], [[{ name: 'default' }]], [{ default: 'x' }]])(
    'refuses the template %j',
    (template) => {
      expect(() => withTemplate(template)).toThrow(TokenizerError);
      expect(() => withTemplate(template)).toThrow('"chat_template" holds');
    },
  );
});

describe('parseMessages', () => {
  it.each([
    [undefined, 'messages: found nothing, expected a list'],
    [[], 'messages: found an empty array, expected a list of at least one message'],
    ['hi', 'messages: found "hi"'],
    [['hi'], 'messages[0]: found "hi", expected an object'],
    [[{ content: 'x' }], 'messages[0].role: found nothing'],
    [[{ role: '', content: 'x' }], 'messages[0].role: found ""'],
    [[...hello, { role: 'user' }], 'messages[1].content: found nothing'],
    [[{ role: 'user', content: null }], 'messages[0].content: found null'],
    [[{ role: 'user', content: 3 }], 'messages[0].content: found 3'],
    [
      [{ role: 'user', content: [{ type: 'image_url' }] }],
      'messages[0].content[0]: found "image_url"',
    ],
    [[{ role: 'user', content: [{ type: 'text' }] }], 'messages[0].content[0]: found an object'],
  ])('refuses %j', (messages, message) => {
    expect(() => parseMessages(messages)).toThrow(RequestError);
    expect(() => parseMessages(messages)).toThrow(message);
    expect(() => parseMessages(messages)).toThrow(expect.objectContaining({ param: 'messages' }));
  });

  it('keeps good messages as they are', () => {
    const messages = [...hello, { role: 'assistant' }, { role: 'tool', content: [], name: 'f' }];
    expect(parseMessages(messages)).toEqual(messages);
  });
});
