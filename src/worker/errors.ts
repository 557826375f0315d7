/**
 * Errors as messages: structured clone keeps neither the class of an error nor its fields.
 *
 * @module
 */
import * as quernErrors from '../util/errors.ts';
import { describeValue } from '../util/objects.ts';

/** An error in a form that can be posted. */
export type EncodedError =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'dom'; readonly name: string; readonly message: string }
  | {
      readonly kind: 'error';
      readonly name: string;
      readonly message: string;
      readonly stack: string | undefined;
      /** Absent where the error has none. */
      readonly cause?: EncodedError;
      /** What the class adds, such as `status`; strings, numbers, booleans and undefined. */
      readonly fields: Readonly<Record<string, unknown>>;
    };

/** Causes of causes that are kept; a chain may be a ring. */
const MAX_DEPTH = 8;

const NATIVE = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];

/** Classes by name. Their own names do not survive minification, those under which they are exported do. */
const CLASSES: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ...NATIVE.map((type) => [type.name, type] as const),
  ...Object.entries(quernErrors),
]);

/** Takes an error apart. */
export function encodeError(error: unknown, depth: number = MAX_DEPTH): EncodedError {
  if (error instanceof DOMException) {
    return { kind: 'dom', name: error.name, message: error.message };
  }
  if (!(error instanceof Error)) {
    return { kind: 'value', value: isPrimitive(error) ? error : describeValue(error) };
  }
  const { name, message, stack } = error;
  const fields = Object.entries(error).filter(
    ([key, value]) => key !== 'name' && isPrimitive(value),
  );
  return {
    kind: 'error',
    name,
    message,
    stack,
    ...('cause' in error && depth > 0 && { cause: encodeError(error.cause, depth - 1) }),
    fields: Object.fromEntries(fields),
  };
}

/** Puts an error together again: of the same class where that is one of Quern's or of the language. */
export function decodeError(encoded: EncodedError): unknown {
  switch (encoded.kind) {
    case 'value':
      return encoded.value;
    case 'dom':
      return new DOMException(encoded.message, encoded.name);
    case 'error': {
      const { name, message, stack, cause, fields } = encoded;
      const found = CLASSES.get(name);
      const type = typeof found === 'function' ? found : Error;
      // A true Error with the class's prototype, past a constructor that would compose the message anew.
      const options = cause === undefined ? {} : { cause: decodeError(cause) };
      const error: unknown = Reflect.construct(Error, [message, options], type);
      if (!(error instanceof Error)) return error;
      if (error instanceof quernErrors.QuernError) Object.assign(error, { name });
      else if (error.name !== name) Object.defineProperty(error, 'name', { value: name });
      Object.assign(error, fields);
      // Where the error arose says more than where it arrived.
      Object.defineProperty(error, 'stack', { value: stack, configurable: true, writable: true });
      return error;
    }
  }
}

/** Whether a value can be posted for sure. */
function isPrimitive(value: unknown): boolean {
  return value === null || !['object', 'function', 'symbol'].includes(typeof value);
}
