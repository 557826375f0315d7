import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopStrings } from '../../../src/tokenizer/stop_strings.ts';
import { RequestError } from '../../../src/util/errors.ts';

/** Reads the definition literally: looks at every beginning of the text in turn. */
function cutNaively(text: string, stops: readonly string[]): { text: string; stopped: boolean } {
  for (let end = 1; end <= text.length; end++) {
    const ending = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    const longest = Math.max(...ending.map((stop) => stop.length));
    if (ending.length > 0) return { text: text.slice(0, end - longest), stopped: true };
  }
  return { text, stopped: false };
}

function cutInPieces(
  pieces: readonly string[],
  stops: readonly string[],
): { text: string; stopped: boolean } {
  const stream = new StopStrings(stops);
  let text = '';
  let stopped = false;
  for (const piece of pieces) {
    const step = stream.push(piece);
    text += step.text;
    stopped = step.stopped;
  }
  return { text: text + stream.flush(), stopped };
}

describe('StopStrings', () => {
  it('cuts at a stop string that spans several pieces', () => {
    const stream = new StopStrings(['</answer>']);
    expect(stream.push('yes <')).toEqual({ text: 'yes ', stopped: false });
    expect(stream.push('/ans')).toEqual({ text: '', stopped: false });
    expect(stream.push('wer> no')).toEqual({ text: '', stopped: true });
    expect(stream.push('more')).toEqual({ text: '', stopped: true });
    expect(stream.flush()).toBe('');
  });

  it('releases a false beginning as soon as it is one', () => {
    const stream = new StopStrings(['abcd']);
    expect(stream.push('xab')).toEqual({ text: 'x', stopped: false });
    expect(stream.push('ab')).toEqual({ text: 'ab', stopped: false });
    expect(stream.push('c')).toEqual({ text: '', stopped: false });
    expect(stream.flush()).toBe('abc');
  });

  it('takes the stop string that ends first, and of those the longest', () => {
    expect(cutInPieces(['xabc'], ['abc', 'b'])).toEqual({ text: 'xa', stopped: true });
    expect(cutInPieces(['xabc'], ['c', 'bc'])).toEqual({ text: 'xa', stopped: true });
  });

  it('passes everything on without stop strings', () => {
    expect(new StopStrings([]).push('any text')).toEqual({ text: 'any text', stopped: false });
  });

  it('gives the same for every splitting of the text', () => {
    const letters = fc.constantFrom('a', 'b', 'c', '🙂');
    const stop = fc.string({ unit: letters, minLength: 1, maxLength: 5 });
    const pieces = fc.array(fc.string({ unit: letters, maxLength: 6 }), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(stop, { maxLength: 4 }), pieces, (stops, parts) => {
        expect(cutInPieces(parts, stops)).toEqual(cutNaively(parts.join(''), stops));
      }),
      { numRuns: 500 },
    );
  });

  it.each([[['']], [['a', '']]])('refuses the empty stop string in %j', (stops) => {
    expect(() => new StopStrings(stops)).toThrow(RequestError);
    expect(() => new StopStrings(stops)).toThrow('stop: found "", expected a non-empty string');
  });
});
