import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { promptly } from '../../../src/gpu/prompt.ts';

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0';
const CHROME = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A queue that counts what is submitted. */
function fakeQueue(): { readonly queue: GPUQueue; readonly submits: () => number } {
  const submit = vi.fn<(buffers: readonly GPUCommandBuffer[]) => void>();
  return { queue: { submit } as unknown as GPUQueue, submits: () => submit.mock.calls.length };
}

it('asks Firefox to look for finished work until all of it has been waited for', async () => {
  const { queue, submits } = fakeQueue();
  let finish: (value: string) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const first = new Promise<string>((resolve) => (finish = resolve));
  const second = new Promise<string>((_, reject) => (fail = reject));
  const one = promptly(queue, first, FIREFOX);
  const two = promptly(queue, second, FIREFOX);
  expect(submits()).toBe(1);
  await vi.advanceTimersByTimeAsync(10);
  expect(submits()).toBe(6);

  finish('one');
  expect(await one).toBe('one');
  await vi.advanceTimersByTimeAsync(2);
  expect(submits()).toBe(7);

  fail(new Error('lost'));
  await expect(two).rejects.toThrow('lost');
  // Who comes before the last timer does not start a second row of them.
  const third = promptly(queue, new Promise(() => undefined), FIREFOX);
  expect(third).toBeInstanceOf(Promise);
  await vi.advanceTimersByTimeAsync(10);
  expect(submits()).toBe(12);
});

it('leaves a queue alone that nobody waits for', async () => {
  const { queue, submits } = fakeQueue();
  await promptly(queue, Promise.resolve(), FIREFOX);
  await vi.advanceTimersByTimeAsync(10);
  expect(submits()).toBe(1);
});

it('submits nothing elsewhere', async () => {
  const { queue, submits } = fakeQueue();
  expect(await promptly(queue, Promise.resolve(7), CHROME)).toBe(7);
  expect(await promptly(queue, Promise.resolve(7), '')).toBe(7);
  expect(submits()).toBe(0);
});
