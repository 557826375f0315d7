/**
 * A page's own {@link ModelSource}, read from the worker: the source stays in the page, its bytes move.
 *
 * @module
 */
import type { ByteSource, ModelSource } from '../weights/source.ts';
import { DownloadError } from '../util/errors.ts';
import type { SourceMethods } from './protocol.ts';
import { answer, Caller } from './rpc.ts';

/** Lets the other side of a port read a source, until the port is closed. */
export function serveSource(source: ModelSource, port: MessagePort): void {
  const files: ByteSource[] = [];
  answer<SourceMethods>(port, {
    async open({ signal }, path) {
      const opened = await source.open(path, signal);
      if (opened === undefined) return undefined;
      return { file: files.push(opened) - 1, name: opened.name, size: opened.size };
    },
    async read({ signal, transfer }, file, begin, end) {
      const opened = files[file];
      if (opened === undefined) throw new DownloadError(source.name, `no file ${file} was opened`);
      const bytes = await opened.read(begin, end, signal);
      // Bytes are given away, for who made them handed them over; but only a whole buffer can be.
      const whole = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
      transfer.push(whole.buffer);
      return whole;
    },
    async list() {
      return (await source.list?.()) ?? [];
    },
  });
  port.start();
}

/** The source that the other side of a port serves. */
export function remoteSource(name: string, canList: boolean, port: MessagePort): ModelSource {
  const calls = new Caller<SourceMethods>(port);
  port.start();
  return {
    name,
    async open(path, signal) {
      const opened = await calls.call('open', [path], { signal });
      return (
        opened && {
          name: opened.name,
          size: opened.size,
          read: (begin, end, readSignal) =>
            calls.call('read', [opened.file, begin, end], { signal: readSignal }),
        }
      );
    },
    ...(canList && { list: () => calls.call('list', []) }),
  };
}
