import { describe, expect, it, vi } from 'vitest';
import { Stream } from '../../../src/engine/stream.ts';

const END = { done: true, value: undefined };
const value = (value: unknown) => ({ done: false, value });

describe('Stream', () => {
  it('hands out values in order, whether they come before or after they are asked for', async () => {
    const stream = new Stream<number>(() => undefined);
    stream.push(1);
    stream.push(0);
    expect(await stream.next()).toEqual(value(1));
    expect(await stream.next()).toEqual(value(0));
    const asked = [stream.next(), stream.next(), stream.next()];
    stream.push(2);
    stream.push(3);
    stream.end();
    expect(await Promise.all(asked)).toEqual([value(2), value(3), END]);
    expect(await stream.next()).toEqual(END);
  });

  it('can be looped over', async () => {
    const stream = new Stream<string>(() => expect.fail('it was read to its end'));
    for (const text of ['a', '', 'b']) stream.push(text);
    stream.end();
    const seen: string[] = [];
    for await (const text of stream) seen.push(text);
    expect(seen).toEqual(['a', '', 'b']);
  });

  it.each([new Error('broken'), 'a text', undefined])(
    'ends once with an error, after the values before it: %s',
    async (error) => {
      const stream = new Stream<number>(() => undefined);
      stream.push(1);
      stream.fail(error);
      expect(await stream.next()).toEqual(value(1));
      await expect(stream.next()).rejects.toBe(error);
      expect(await stream.next()).toEqual(END);

      const waiting = new Stream<number>(() => undefined);
      const asked = [waiting.next(), waiting.next()];
      waiting.fail(error);
      const settled = await Promise.allSettled(asked);
      expect(settled[0]).toEqual({ status: 'rejected', reason: error });
      expect(settled[1]).toEqual({ status: 'fulfilled', value: END });
      expect(await waiting.next()).toEqual(END);
    },
  );

  it('takes nothing after its end', async () => {
    const stream = new Stream<number>(() => undefined);
    stream.end();
    stream.push(1);
    stream.fail(new Error('too late'));
    expect(await stream.next()).toEqual(END);
  });

  it('cancels its producer once when the loop is left', async () => {
    const cancel = vi.fn();
    const stream = new Stream<number>(cancel);
    for (const n of [1, 2, 3]) stream.push(n);
    for await (const n of stream) if (n === 2) break;
    expect(cancel).toHaveBeenCalledTimes(1);
    expect(await stream.next()).toEqual(END);
    expect(await stream.return()).toEqual(END);
    expect(cancel).toHaveBeenCalledTimes(1);
  });

  it('cancels nothing when it has ended already', async () => {
    const cancel = vi.fn();
    const stream = new Stream<number>(cancel);
    stream.push(1);
    stream.end();
    expect(await stream.return()).toEqual(END);
    expect(await stream.next()).toEqual(END);
    expect(cancel).not.toHaveBeenCalled();
  });

  it('drops an error that nobody asked for when it is left', async () => {
    const stream = new Stream<number>(() => undefined);
    stream.fail(new Error('too late'));
    await stream.return();
    expect(await stream.next()).toEqual(END);
  });

  it('answers those who wait when it is left, whatever its producer says to that', async () => {
    const stream: Stream<number> = new Stream<number>(() => stream.fail('cancelled'));
    const asked = stream.next();
    await stream.return();
    expect(await asked).toEqual(END);
  });
});
