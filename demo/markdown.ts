/**
 * Replies as HTML. What a model writes is not to be trusted: its HTML is shown as text, what Markdown makes of the
 * rest goes through a sanitizer, and nothing in it is fetched (an image becomes a link to it).
 *
 * @module
 */
import { signal } from '@preact/signals';
import DOMPurify from 'dompurify';
import type { HLJSApi } from 'highlight.js';
import { Marked, type Token, type Tokens } from 'marked';

/** One block of a text: a paragraph, a list, a piece of code. */
export interface Block {
  /** Stays the same while a text grows. */
  readonly key: number;
  /** Safe to put into the page. */
  readonly html: string;
}

/** A signal, so that components which show code are rendered again when it comes. */
const highlighter = signal<HLJSApi | undefined>(undefined);
let isRequested = false;

/** Loads what highlights code, when there is any; until then it is plain. */
async function loadHighlighter(): Promise<void> {
  isRequested = true;
  try {
    highlighter.value = (await import('highlight.js/lib/common')).default;
  } catch {
    // Offline on the first visit: the next piece of code tries again.
    isRequested = false;
  }
}

/** What the renderer below makes, and no more. */
const ALLOWED_TAGS =
  'p br hr h3 h4 h5 h6 blockquote ul ol li pre code span strong em del sub sup kbd a table thead tbody tr th td'.split(
    ' ',
  );

/** Tags that models mix into Markdown and that do no harm; other HTML is shown as it was written. */
const HARMLESS = /^<(?:br\s*\/?|\/?(?:sub|sup|kbd))>$/i;

/** Those of highlight.js, such as `hljs-title function_`. */
const CLASSES = /^(?:hljs|hljs-[\w-]+|[a-z]+_|language-[\w.#+-]+)$/;

const purifier = DOMPurify();
purifier.addHook('uponSanitizeAttribute', (_, data) => {
  if (data.attrName !== 'class') return;
  data.attrValue = data.attrValue
    .split(/\s+/)
    .filter((name) => CLASSES.test(name))
    .join(' ');
});
purifier.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer');
});

const marked = new Marked({
  gfm: true,
  // People, and models that learned from them, end a line where it ends.
  breaks: true,
  renderer: {
    // The page has headings of its own above these.
    heading({ tokens, depth }) {
      const level = Math.min(depth + 2, 6);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
    code: ({ text, lang }) => renderCode(text, lang?.split(/\s/)[0] ?? ''),
    html: ({ text }) => (HARMLESS.test(text.trim()) ? text : escapeHtml(text)),
    image: ({ href, text }) => `<a href="${escapeHtml(href)}">${escapeHtml(text || 'image')}</a>`,
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
  },
});

/** A text that grows: only what may still change is read again, and only blocks that did change are rendered. */
export class MarkdownStream {
  #text = '';
  #tokens: readonly Token[] = [];
  #blocks: readonly Block[] = [];
  #highlighter: HLJSApi | undefined;

  /** The blocks of the whole text so far; those that did not change are the same objects. */
  update(text: string): readonly Block[] {
    const isSame = text === this.#text && highlighter.value === this.#highlighter;
    if (isSame) return this.#blocks;
    const { tokens, unchanged } = this.#read(text);
    const kept = highlighter.value === this.#highlighter ? unchanged : 0;
    this.#blocks = tokens.map((token, key): Block => {
      const old = key < kept ? this.#blocks[key] : undefined;
      return old ?? { key, html: renderBlock(token) };
    });
    this.#text = text;
    this.#tokens = tokens;
    this.#highlighter = highlighter.value;
    return this.#blocks;
  }

  /** @returns the blocks of a text, and how many of the first are as they were */
  #read(text: string): { readonly tokens: readonly Token[]; readonly unchanged: number } {
    // A definition of a link changes what stands before it, too.
    const isGrown = text.startsWith(this.#text) && !DEFINITION.test(text);
    const kept = isGrown ? this.#tokens.slice(0, settledBlocks(this.#tokens)) : [];
    const length = kept.reduce((sum, { raw }) => sum + raw.length, 0);
    const rest = marked.lexer(text.slice(length));
    return { tokens: [...kept, ...rest], unchanged: kept.length };
  }
}

const DEFINITION = /^ {0,3}\[[^\]\n]+\]:/m;

/**
 * Blocks at the beginning that nothing that follows can change: all but the last two. The last one grows, and may
 * take in the one before, as `---` below a paragraph makes it a heading.
 */
function settledBlocks(tokens: readonly Token[]): number {
  let open = 0;
  let end = tokens.length;
  while (end > 0 && open < 2) {
    end -= 1;
    if (tokens[end]?.type !== 'space') open += 1;
  }
  // Blank lines belong to what comes before them: a list may go on below.
  return end;
}

function renderBlock(token: Token): string {
  return purifier.sanitize(marked.parser([token]), {
    ALLOWED_TAGS,
    ALLOWED_ATTR: ['href', 'title', 'class', 'start', 'align'],
    // These are no addresses, and need not look like one.
    ADD_URI_SAFE_ATTR: ['start', 'align'],
    ALLOW_ARIA_ATTR: false,
    ALLOW_DATA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  });
}

function renderCode(text: Tokens.Code['text'], language: string): string {
  const hljs = highlighter.value;
  if (hljs === undefined && !isRequested) void loadHighlighter();
  const isKnown = hljs?.getLanguage(language) !== undefined;
  const code = isKnown
    ? hljs.highlight(text, { language, ignoreIllegals: true }).value
    : escapeHtml(text);
  const name = escapeHtml(language);
  return `<pre><code class="hljs language-${name || 'text'}">${code}\n</code></pre>\n`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
