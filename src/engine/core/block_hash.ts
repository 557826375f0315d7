/**
 * Names of full blocks: what a block of keys and values was computed from.
 *
 * The keys and values of a block depend on every token up to its end, so its name is a chain: its own tokens and
 * the name of the block before it. The hash of a chain finds candidates; equality is decided by comparing the
 * tokens, so a collision of hashes costs a cache entry and never a wrong answer.
 *
 * ```text
 *   tokens   [t0 t1 t2 t3] [t4 t5 t6 t7] [t8 t9 …        pageSize 4
 *   keys      key0  <─────  key1  <─────  (no key: not full yet)
 * ```
 *
 * @module
 */

/** Name of one full block: its tokens and, through `parent`, all tokens before them. Immutable. */
export interface BlockKey {
  /** 32-bit hash of the whole chain; equal chains have equal hashes. */
  readonly hash: number;
  /** Key of the block before; for the first of a sequence that of its encoder input, `undefined` where it has none. */
  readonly parent: BlockKey | undefined;
  readonly tokens: readonly number[];
  /** Chains of different salts are never equal. */
  readonly salt: number;
}

/** Extends the chain `parent` by one full block of `tokens`. */
export function chainKey(
  parent: BlockKey | undefined,
  tokens: readonly number[],
  salt: number,
): BlockKey {
  let hash = parent === undefined ? mix(0, salt) : parent.hash;
  for (const token of tokens) {
    hash = mix(hash, token);
  }
  return { hash, parent, tokens, salt };
}

/** Whether two keys name the same content: same salt and same tokens from the start of the sequence. */
export function equalKeys(a: BlockKey, b: BlockKey): boolean {
  let left: BlockKey | undefined = a;
  let right: BlockKey | undefined = b;
  // A chain met at the same object is the same from there on, which is where nearly every comparison ends.
  while (left !== right) {
    if (left === undefined || right === undefined || !equalLinks(left, right)) {
      return false;
    }
    left = left.parent;
    right = right.parent;
  }
  return true;
}

function equalLinks(a: BlockKey, b: BlockKey): boolean {
  return (
    a.hash === b.hash &&
    a.salt === b.salt &&
    a.tokens.length === b.tokens.length &&
    a.tokens.every((token, i) => token === b.tokens[i])
  );
}

/** Body round of MurmurHash3_x86_32 (Appleby 2011, public domain), one 32-bit word at a time. */
function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  const h = hash ^ Math.imul(k, 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}
