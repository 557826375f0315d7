import 'fake-indexeddb/auto';
import { IDBFactory } from 'fake-indexeddb';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { newRecord, RecordStore, UNDO_MS } from '../../../demo/bench/records/record_store.ts';
import { benchReport } from './support/bench_reports.ts';

const stores: RecordStore[] = [];
const reports = [benchReport()];

function open(): RecordStore {
  const store = new RecordStore('test');
  stores.push(store);
  return store;
}

const names = (store: RecordStore): string[] => store.list.value.map(({ name }) => name);

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
  vi.spyOn(Date, 'now').mockReturnValueOnce(1).mockReturnValueOnce(2);
  store.add(reports, 'measured', 'old');
  const added = store.add(reports, 'imported', 'new');
  await store.flush();
  const again = open();
  await again.ready;
  expect(names(again)).toEqual(['new', 'old']);
  expect(again.list.value[0]).toEqual(added);
  expect(again.trouble.value).toBeUndefined();
});

it('takes in what is added before the disk is read', async () => {
  const first = open();
  first.add(reports, 'measured', 'before');
  await first.flush();
  const store = open();
  store.add(reports, 'measured', 'early');
  await store.flush();
  expect(names(store).toSorted()).toEqual(['before', 'early']);
});

it('names a record after its models and adapters', () => {
  const several = [benchReport(), benchReport({ form: 'f16' }), benchReport({ name: 'other' })];
  expect(open().add(several, 'measured').name).toBe('3 models · Test GPU');
  expect(open().add(reports, 'measured').name).toBe('SmolLM2 135M in 4 bits · Test GPU');
});

it('renames', async () => {
  const store = open();
  const { id } = store.add(reports, 'measured');
  store.rename(id, 'mine');
  store.rename('none', 'nothing');
  await store.flush();
  const again = open();
  await again.ready;
  expect(names(again)).toEqual(['mine']);
});

it('deletes, and undoes it for some seconds', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  const store = open();
  await store.ready;
  const [kept, gone] = [store.add(reports, 'measured', 'kept'), store.add(reports, 'measured')];
  store.delete([kept.id, gone.id]);
  expect(names(store)).toEqual([]);
  await vi.advanceTimersByTimeAsync(UNDO_MS / 2);
  store.restore([kept.id]);
  await vi.advanceTimersByTimeAsync(UNDO_MS);
  store.restore([gone.id]);
  expect(names(store)).toEqual(['kept']);
  vi.useRealTimers();
  await store.flush();
  const again = open();
  await again.ready;
  expect(again.list.value).toEqual([kept]);
});

it('purges what was deleted before the page was closed', async () => {
  const store = open();
  const { id } = store.add(reports, 'measured');
  store.delete([id]);
  await store.close();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  vi.setSystemTime(Date.now() + 2 * UNDO_MS);
  const again = open();
  await again.ready;
  expect(names(again)).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  again.restore([id]);
  expect(names(again)).toEqual([]);
});

it('hears of other tabs, and keeps the reports that it shows', async () => {
  const [one, two] = [open(), open()];
  await Promise.all([one.ready, two.ready]);
  const { id } = one.add(reports, 'measured', 'a');
  await vi.waitFor(() => expect(names(two)).toEqual(['a']));
  const shown = two.list.value[0]?.reports;
  one.rename(id, 'b');
  await vi.waitFor(() => expect(names(two)).toEqual(['b']));
  expect(two.list.value[0]?.reports).toBe(shown);
});

it('keeps records in memory where there is no storage, and says so', async () => {
  vi.stubGlobal('indexedDB', undefined);
  const store = open();
  const record = store.keep(newRecord(reports, 'shared'));
  await store.flush();
  expect(store.list.value).toEqual([record]);
  expect(store.trouble.value).toContain('private windows');
});

it('writes again what a full disk refused', async () => {
  const store = open();
  await store.ready;
  const put = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementationOnce(() => {
    throw new DOMException('full', 'QuotaExceededError');
  });
  store.add(reports, 'measured', 'first');
  await store.flush();
  expect(store.trouble.value).toContain('full');
  store.add(reports, 'measured', 'second');
  await store.flush();
  expect(store.trouble.value).toBeUndefined();
  expect(put).toHaveBeenCalledTimes(3);
  const again = open();
  await again.ready;
  expect(names(again).toSorted()).toEqual(['first', 'second']);
});
