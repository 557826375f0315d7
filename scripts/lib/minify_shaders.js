import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Directives, comments, white space, words, numbers, operators of several characters; else one character each. */
const TOKEN =
  /\/\/.*|\/\*[^]*?\*\/|\s+|[a-z_]\w*|(?:0x[\da-f.]+(?:p[+-]?\d+)?|\d+\.?\d*(?:e[+-]?\d+)?)[iufh]?|(?:<<|>>)=|[-+*/%&|^<>=!]=|->|\+\+|--|&&|\|\||<<|>>|[^]/gi;
const WORD = /^[A-Za-z_]/;
/** No names in WGSL, though as short. */
const TAKEN = ['as', 'do', 'fn', 'if', 'is', 'of'];

/**
 * Makes the function that shortens the shaders of a repository: no comments, no white space, short names.
 *
 * Names of functions, structs, variables and constants become short ones if nothing in `src/` is called so, the same
 * in all files; what TypeScript may name (slots, bindings, entry points) stays. Declarations that can be slots keep
 * their form and begin a line, as do directives: `specialize` of src/gpu/shader.ts finds them.
 *
 * @param {string} repository
 * @returns {(source: string) => string}
 */
export function shaderMinifier(repository) {
  const shaders = texts(join(repository, 'shaders'), '.wgsl').map(tokens);
  const named = new Set(
    texts(join(repository, 'src'), '.ts').flatMap((text) => text.match(/\w+/g) ?? []),
  );
  const globals = new Set(shaders.flatMap((list) => moduleNames(list)));
  const members = new Set(shaders.flatMap((list) => list.filter((_, i) => list[i - 1] === '.')));
  const counts = new Map();
  for (const token of shaders.flat()) counts.set(token, (counts.get(token) ?? 0) + 1);
  const common = [...globals]
    .filter((name) => !named.has(name) && !members.has(name))
    .sort((a, b) => counts.get(b) - counts.get(a));
  // No name in shaders/ begins so, and no word of WGSL.
  const short = new Map(common.map((name, i) => [name, `_${i.toString(36)}`]));
  return (source) => minifyShader(source, globals, short);
}

/**
 * @param {string} source
 * @param {ReadonlySet<string>} globals - names that files share
 * @param {ReadonlyMap<string, string>} short - what some of them are called instead
 */
export function minifyShader(source, globals, short) {
  const list = tokens(source);
  const renamed = functions(list).flatMap((part) =>
    part[0] === 'fn' ? renameLocals(part, globals) : part,
  );
  return print(
    renamed.map((token, i) => (renamed[i - 1] === '.' ? token : (short.get(token) ?? token))),
  );
}

/** @param {string} source @returns {string[]} without comments and white space */
function tokens(source) {
  return (source.match(TOKEN) ?? []).filter((token) => !/^(\s|\/\*|\/\/(?!!))/.test(token));
}

/** Names declared outside of functions. @param {readonly string[]} list */
function moduleNames(list) {
  return functions([...list]).flatMap((part) => {
    if (part[0] === 'fn') return part[1] ?? [];
    return part.flatMap((token, i) => {
      if (token === 'const' || token === 'alias' || token === 'struct') return part[i + 1] ?? [];
      if (token !== 'var') return [];
      // var<storage, read> NAME
      return part.slice(i + 1).find((_, k, rest) => rest[k + 1] === ':') ?? [];
    });
  });
}

/**
 * The tokens cut before and after each function.
 *
 * @param {string[]} list
 * @returns {string[][]}
 */
function functions(list) {
  const start = list.indexOf('fn');
  if (start === -1) return [list];
  let end = list.indexOf('{', start) + 1;
  for (let depth = 1; depth > 0; end += 1) {
    if (list[end] === '{') depth += 1;
    if (list[end] === '}') depth -= 1;
  }
  return [list.slice(0, start), list.slice(start, end), ...functions(list.slice(end))];
}

/**
 * Gives parameters and variables one letter. Each name of the function has one other name in all its scopes, and none
 * that the function uses otherwise, so what a name means does not change.
 *
 * @param {readonly string[]} list - a function
 * @param {ReadonlySet<string>} globals
 */
function renameLocals(list, globals) {
  const used = list.filter((token, i) => WORD.test(token) && list[i - 1] !== '.');
  // What may mean something else than the variable: a function, or the value of an attribute.
  const other = list.filter((_, i) => list[i + 1] === '(' || list[i - 2] === 'builtin');
  const local = new Set(
    localNames(list).filter(
      (name) => name.length > 1 && !globals.has(name) && !other.includes(name),
    ),
  );
  const taken = new Set([...TAKEN, ...used.filter((name) => !local.has(name))]);
  const names = shortNames();
  /** @type {Map<string, string>} */
  const short = new Map();
  for (const name of used) {
    if (!local.has(name) || short.has(name)) continue;
    let next = names.next().value;
    while (taken.has(next)) next = names.next().value;
    short.set(name, next);
  }
  return list.map((token, i) => (list[i - 1] === '.' ? token : (short.get(token) ?? token)));
}

/** Names of parameters, and of what `let`, `var` and `const` declare. @param {readonly string[]} list - a function */
function localNames(list) {
  const body = list.indexOf('{');
  return list.filter((token, i) => {
    if (!WORD.test(token)) return false;
    return i < body ? i > 1 && list[i + 1] === ':' : /^(let|var|const)$/.test(list[i - 1] ?? '');
  });
}

/** @returns {Generator<string, never>} a, b, …, Z, aa, … */
function* shortNames() {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('');
  for (
    let before = [''];
    ;
    before = before.flatMap((text) => letters.map((letter) => text + letter))
  ) {
    for (const text of before) for (const letter of letters) yield text + letter;
  }
}

/** @param {readonly string[]} list */
function print(list) {
  let text = '';
  let depth = 0;
  for (let i = 0; i < list.length; i += 1) {
    const token = list[i] ?? '';
    if (token === '{') depth += 1;
    if (token === '}') depth -= 1;
    const isDeclaration = depth === 0 && (token === 'const' || token === 'alias');
    if (isDeclaration || token.startsWith('//!')) {
      if (text !== '' && !text.endsWith('\n')) text += '\n';
      const end = isDeclaration ? list.indexOf(';', i) : i;
      text += `${isDeclaration ? declaration(list.slice(i, end + 1)) : token}\n`;
      i = end;
    } else {
      text = append(text, token);
    }
  }
  return text;
}

/** `const NAME: TYPE = VALUE;` @param {readonly string[]} list */
function declaration(list) {
  const equals = list.indexOf('=');
  const [kind, name, ...type] = list.slice(0, equals);
  return `${kind} ${name}${type.reduce(append, '').replace(':', ': ')} = ${list.slice(equals + 1).reduce(append, '')}`;
}

/** @param {string} text @param {string} token */
function append(text, token) {
  const isOneWord = /\w$/.test(text) && /^\w/.test(token);
  const isOneOperator = /(\+\+|--|&&|\|\||>=)$/.test(text.slice(-1) + token[0]);
  return isOneWord || isOneOperator ? `${text} ${token}` : text + token;
}

/** Texts of the files in a folder and those below it. @param {string} folder @param {string} ending */
function texts(folder, ending) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => readFileSync(join(folder, file), 'utf8'));
}
