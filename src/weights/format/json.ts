/** JSON that arrives as bytes from files we do not trust. @module */

/** Makes the caller's own error from a message that continues its subject: `… is not JSON`. */
export type Fail = (message: string, options?: ErrorOptions) => Error;

/**
 * Decodes and parses UTF-8 JSON.
 *
 * @throws what `fail` makes, if the bytes are not UTF-8 or the text is not JSON
 */
export function parseJson(
  bytes: Uint8Array,
  fail: Fail,
): { readonly text: string; readonly value: unknown } {
  const text = decodeUtf8(bytes, fail);
  try {
    const value: unknown = JSON.parse(text);
    return { text, value };
  } catch (cause) {
    const start = JSON.stringify(text.slice(0, 40));
    throw fail(`is not JSON (it begins with ${start})`, { cause });
  }
}

/**
 * Decodes UTF-8; a byte order mark stays in the text.
 *
 * @throws what `fail` makes, if the bytes are not UTF-8
 */
export function decodeUtf8(bytes: Uint8Array, fail: Fail): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw fail('is not UTF-8 text', { cause });
  }
}

/** The value as a record, or undefined where it is null, a list or a scalar. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return isRecord(value) ? value : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * A key that occurs twice in one object of `json`, which `JSON.parse` would silently merge.
 *
 * @param json - text that `JSON.parse` accepts
 */
export function duplicateKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (let i = 0; i < json.length; i++) {
    const char = json[i];
    if (char === '{') open.push(new Set());
    else if (char === '}') open.pop();
    else if (char === '"') {
      const begin = i;
      i = closingQuote(json, begin);
      if (!isFollowedByColon(json, i + 1)) continue;
      const key = String(JSON.parse(json.slice(begin, i + 1)));
      const keys = open.at(-1);
      if (keys?.has(key) === true) return key;
      keys?.add(key);
    }
  }
  return undefined;
}

function closingQuote(json: string, openingQuote: number): number {
  let i = openingQuote + 1;
  while (i < json.length && json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
  return i;
}

function isFollowedByColon(json: string, at: number): boolean {
  let i = at;
  while (json[i] === ' ' || json[i] === '\n' || json[i] === '\r' || json[i] === '\t') i++;
  return json[i] === ':';
}
