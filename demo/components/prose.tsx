import { type JSX, render } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { MarkdownStream } from '../markdown.ts';
import { copyText } from './clipboard.ts';
import { Icon } from './icons.tsx';

/** A reply as rendered Markdown; while it grows, only its last block is rendered again. */
export function Prose({ text }: { readonly text: string }): JSX.Element {
  const stream = useRef<MarkdownStream>(undefined);
  stream.current ??= new MarkdownStream();
  return (
    <div class="prose">
      {stream.current.update(text).map(({ key, html }) => (
        <Block key={key} html={html} />
      ))}
    </div>
  );
}

function Block({ html }: { readonly html: string }): JSX.Element {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => (ref.current === null ? undefined : furnish(ref.current)), [html]);
  // Sanitized by markdown.ts.
  return <div ref={ref} dangerouslySetInnerHTML={{ __html: html }} />;
}

/**
 * Gives code blocks a head with a button, and lets wide ones and tables be scrolled by the keyboard.
 *
 * @returns what takes it back
 */
function furnish(block: HTMLElement): () => void {
  const heads: HTMLElement[] = [];
  for (const table of block.querySelectorAll('table')) {
    const frame = document.createElement('div');
    frame.className = 'table';
    frame.tabIndex = 0;
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const pre of block.querySelectorAll('pre')) {
    const frame = document.createElement('div');
    const head = document.createElement('div');
    frame.className = 'code';
    head.className = 'code-head';
    pre.replaceWith(frame);
    pre.tabIndex = 0;
    frame.append(head, pre);
    heads.push(head);
    const code = pre.textContent.replace(/\n$/, '');
    render(<CodeHead language={languageOf(pre)} code={code} />, head);
  }
  return () => {
    for (const head of heads) render(null, head);
  };
}

function CodeHead({
  language,
  code,
}: {
  readonly language: string;
  readonly code: string;
}): JSX.Element {
  return (
    <>
      <span>{language}</span>
      <button type="button" onClick={() => void copyText(code)}>
        <Icon name="copy" />
        Copy code
      </button>
    </>
  );
}

function languageOf(pre: HTMLElement): string {
  return /language-([\w+#-]+)/.exec(pre.firstElementChild?.className ?? '')?.[1] ?? 'text';
}
