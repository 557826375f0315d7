/** The model that comes with the page; its card is weights/tinychat/README.md. */
export const BUNDLED = {
  name: 'TinyChat',
  /** Relative to the page. */
  url: './weights/tinychat/',
  notice:
    'TinyChat is a toy of 5 million parameters: it makes small talk and simple stories, and what it says is often wrong. In a long chat it sees only the end.',
} as const;
