import 'fake-indexeddb/auto';
import { IDBFactory } from 'fake-indexeddb';
import { openDB } from 'idb';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ConversationStore, UNDO_MS } from '../../../demo/state/conversation_store.ts';
import { conversation, idsOf } from './support/conversations.ts';

const stores: ConversationStore[] = [];

function open(): ConversationStore {
  const store = new ConversationStore('test');
  stores.push(store);
  return store;
}

function save(store: ConversationStore, ...saved: Parameters<typeof conversation>): void {
  const made = conversation(...saved);
  store.save(made, idsOf(made));
}

const titles = (store: ConversationStore): string[] => store.list.value.map(({ title }) => title);

beforeEach(() => {
  vi.stubGlobal('indexedDB', new IDBFactory());
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await Promise.all(stores.splice(0).map((store) => store.close()));
  vi.unstubAllGlobals();
});

it('finds everything again, the latest first', async () => {
  const store = open();
  save(store, 'old', ['a', 'b'], 1);
  save(store, 'new', ['c', 'd', 'e'], 2);
  await store.flush();
  const again = open();
  await again.ready;
  expect(again.keeping.value).toEqual({ kind: 'kept' });
  expect(titles(again)).toEqual(['new', 'old']);
  expect(await again.get('new')).toEqual(conversation('new', ['c', 'd', 'e'], 2));
  expect(await again.get('nothing')).toBeUndefined();
});

it('writes within a second, without being asked', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const store = open();
  await store.ready;
  save(store, 'a', ['hello', 'Hi'], 1);
  await vi.advanceTimersByTimeAsync(400);
  // What comes in the meantime does not put it off.
  save(store, 'a', ['hello', 'Hi there'], 1);
  await vi.advanceTimersByTimeAsync(400);
  vi.useRealTimers();
  await vi.waitFor(async () => {
    const db = await openDB('test', 1);
    const messages = await db.getAll('messages');
    db.close();
    expect(messages.map(({ content }) => content)).toEqual(['hello', 'Hi there']);
  });
});

it('removes messages', async () => {
  const store = open();
  const whole = conversation('a', ['q', 'a', 'r']);
  store.save(whole, idsOf(whole));
  await store.flush();
  const less = { ...whole, messages: whole.messages.slice(0, 2), headId: 'a-1' };
  store.save(less, [], ['a-2']);
  expect(await store.get('a')).toEqual(less);
  store.discard('a');
  const again = open();
  await again.ready;
  expect(titles(again)).toEqual([]);
});

it('deletes, and undoes it for some seconds', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  const store = open();
  await store.ready;
  for (const id of ['a', 'b', 'c']) save(store, id, ['q', 'a']);
  store.delete(['a', 'b']);
  expect(titles(store)).toEqual(['c']);
  expect(await store.get('a')).toBeUndefined();
  await vi.advanceTimersByTimeAsync(UNDO_MS - 1000);
  store.restore(['a']);
  await vi.advanceTimersByTimeAsync(2000);
  await store.flush();
  expect(titles(store).sort()).toEqual(['a', 'c']);
  expect(await store.get('a')).toEqual(conversation('a', ['q', 'a']));
  store.restore(['b']);
  expect(titles(store).sort()).toEqual(['a', 'c']);
  const db = await openDB('test', 1);
  expect(await db.getAllKeys('messages')).toEqual([
    ['a', 'a-0'],
    ['a', 'a-1'],
    ['c', 'c-0'],
    ['c', 'c-1'],
  ]);
  db.close();
});

it('purges what was deleted before the page was closed', async () => {
  const store = open();
  save(store, 'a', ['q']);
  store.delete(['a']);
  await store.close();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  const again = open();
  await again.ready;
  expect(titles(again)).toEqual([]);
  await vi.advanceTimersByTimeAsync(UNDO_MS + 1000);
  await again.flush();
  const db = await openDB('test', 1);
  expect([await db.count('conversations'), await db.count('messages')]).toEqual([0, 0]);
  db.close();
});

it('searches titles and messages of all branches', async () => {
  const store = open();
  save(store, 'Crème brûlée', ['How?', 'With sugar.']);
  save(store, 'other', ['And the CREME?', 'None.']);
  const found = async (query: string): Promise<string[]> =>
    (await store.search(query)).map(({ info }) => info.id).sort();
  expect(await found('creme')).toEqual(['Crème brûlée', 'other']);
  expect(await found('sugar BRULEE')).toEqual(['Crème brûlée']);
  expect(await found('salt')).toEqual([]);
  expect(await found('  ')).toEqual(['Crème brûlée', 'other']);
  store.rename('other', 'Salt');
  expect(await found('salt')).toEqual(['other']);
});

it('tells other tabs', async () => {
  const [here, there] = [open(), open()];
  await Promise.all([here.ready, there.ready]);
  const heard = vi.fn();
  there.onChange(heard);
  save(here, 'a', ['q', 'a'], 1);
  await here.flush();
  await vi.waitFor(() => expect(titles(there)).toEqual(['a']));
  expect(heard).toHaveBeenCalledWith(new Set(['a']));
  expect(await there.get('a')).toEqual(conversation('a', ['q', 'a'], 1));
  here.delete(['a']);
  await vi.waitFor(() => expect(titles(there)).toEqual([]));
  // Both write to the same conversation: nothing is lost.
  here.restore(['a']);
  await vi.waitFor(() => expect(titles(there)).toEqual(['a']));
  const mine = conversation('a', ['q', 'a', 'mine'], 1);
  const theirs = { ...conversation('a', ['q', 'a'], 1) };
  const added = { id: 'x', parentId: 'a-1', role: 'user', content: 'x', createdAt: 9 } as const;
  here.save(mine, ['a-2']);
  there.save({ ...theirs, messages: [...theirs.messages, added], headId: 'x' }, ['x']);
  await Promise.all([here.flush(), there.flush()]);
  expect(idsOf((await here.get('a')) ?? mine).toSorted()).toEqual(['a-0', 'a-1', 'a-2', 'x']);
});

it('keeps in memory where there is no IndexedDB', async () => {
  vi.stubGlobal('indexedDB', undefined);
  const store = open();
  await store.ready;
  expect(store.keeping.value).toEqual({ kind: 'memory', why: 'missing' });
  save(store, 'a', ['q', 'a']);
  expect(await store.get('a')).toEqual(conversation('a', ['q', 'a']));
  expect((await store.search('q')).length).toBe(1);
  store.discard('a');
  expect(await store.get('a')).toBeUndefined();
});

it('keeps in memory what the disk has no room for, and writes it when it has', async () => {
  const store = open();
  save(store, 'a', ['q']);
  await store.flush();
  const put = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(() => {
    throw new DOMException('full', 'QuotaExceededError');
  });
  save(store, 'a', ['q', 'a', 'r']);
  save(store, 'b', ['s']);
  await store.flush();
  expect(store.keeping.value).toEqual({ kind: 'memory', why: 'full' });
  expect(idsOf((await store.get('a')) ?? conversation('', []))).toHaveLength(3);
  put.mockRestore();
  await store.flush();
  expect(store.keeping.value).toEqual({ kind: 'kept' });
  const again = open();
  expect(await again.get('b')).toEqual(conversation('b', ['s']));
  expect(await again.get('a')).toEqual(conversation('a', ['q', 'a', 'r']));
});

it('makes room for a newer version of the page, and gives way to one that was there first', async () => {
  const store = open();
  save(store, 'a', ['q']);
  await store.flush();
  const newer = await openDB('test', 99);
  expect(store.keeping.value).toEqual({ kind: 'memory', why: 'outdated' });
  // What is on the disk cannot be read any more; what is new can.
  expect(await store.get('a')).toBeUndefined();
  save(store, 'b', ['s']);
  expect(await store.get('b')).toEqual(conversation('b', ['s']));
  newer.close();
  const older = open();
  await older.ready;
  expect(older.keeping.value).toEqual({ kind: 'memory', why: 'outdated' });
});

it('takes in conversations from elsewhere', async () => {
  const store = open();
  save(store, 'a', ['q', 'a', 'own'], 5);
  await store.import([conversation('a', ['q', 'a'], 3), conversation('b', ['s'], 4)]);
  expect(await store.get('a')).toEqual(conversation('a', ['q', 'a', 'own'], 5));
  expect(await store.get('b')).toEqual(conversation('b', ['s'], 4));
  await store.import([{ ...conversation('a', ['q', 'a', 'own', 'more'], 6), title: 'later' }]);
  expect(await store.get('a')).toMatchObject({ title: 'later', headId: 'a-3' });
  expect((await store.all()).map(({ id }) => id)).toEqual(['a', 'b']);
});
