import { MarkdownStream } from '../../../demo/markdown.ts';

/** What a text became, and whether anything of it ran or was fetched. */
export interface Outcome {
  readonly html: string;
  readonly tags: readonly string[];
  readonly attributes: readonly string[];
  readonly hasRun: boolean;
}

/** Puts texts into the page, one after the other, and waits for what they might do. */
export async function show(texts: readonly string[]): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  Object.assign(globalThis, { pwned: () => document.body.classList.add('pwned') });
  for (const text of texts) {
    document.body.innerHTML = htmlOf(text);
    const elements = [...document.body.querySelectorAll<HTMLElement>('*')];
    for (const element of elements) element.dispatchEvent(new MouseEvent('mouseover'));
    await new Promise((resolve) => setTimeout(resolve, 10));
    const attributes = elements.flatMap((element) =>
      Array.from(element.attributes, ({ name, value }) => `${name}=${value}`),
    );
    outcomes.push({
      html: document.body.innerHTML,
      tags: [...new Set(elements.map(({ localName }) => localName))],
      attributes,
      hasRun: document.body.classList.contains('pwned'),
    });
    document.body.className = '';
  }
  return outcomes;
}

/** Streams a text, and compares it at every length with the whole: lengths at which they differ. */
export function compare(text: string): { differences: readonly number[]; rendered: number } {
  const stream = new MarkdownStream();
  const differences: number[] = [];
  const seen = new Set<unknown>();
  for (let length = 1; length <= text.length; length++) {
    const part = text.slice(0, length);
    const blocks = stream.update(part);
    for (const block of blocks) seen.add(block);
    if (blocks.map(({ html }) => html).join('') !== htmlOf(part)) differences.push(length);
  }
  return { differences, rendered: seen.size };
}

/** Renders code until it is highlighted. */
export async function highlighted(text: string): Promise<string> {
  const stream = new MarkdownStream();
  for (let i = 0; i < 200; i++) {
    const html = stream
      .update(text)
      .map((block) => block.html)
      .join('');
    if (html.includes('hljs-')) return html;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return 'never';
}

function htmlOf(text: string): string {
  return new MarkdownStream()
    .update(text)
    .map(({ html }) => html)
    .join('');
}
