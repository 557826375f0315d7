/** `useChat` in React's strict mode, mounted, changed and unmounted at awkward moments. @module */
import { createElement, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import type { LoadOptions } from '../../../src/engine/api.ts';
import { Engine } from '../../../src/load.ts';
import { type UseChat, useChat, type UseChatOptions } from '../../../src/react/use_chat.ts';
import { ScriptedEngine } from '../../support/scripted_engine.ts';

/** Waits until something holds, for at most five seconds. */
async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    if (i === 1000) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Runs the hook through its life. @returns what happened, in order */
export async function live(): Promise<readonly string[]> {
  const events: string[] = [];
  const never = new Promise<string>(() => {});
  const engines = new Map<string, ScriptedEngine>();
  const load = async (name: string, options?: LoadOptions): Promise<Engine> => {
    events.push(`load ${name}`);
    if (name === 'never') {
      return new Promise((_, reject) => {
        options?.signal?.addEventListener('abort', () => {
          events.push('abort never');
          reject(options.signal?.reason as Error);
        });
      });
    }
    const engine = new ScriptedEngine({ pieces: ['Hel', 'lo'] });
    engines.set(name, engine);
    engine.dispose = async () => void events.push(`dispose ${name}`);
    return engine;
  };
  Object.assign(Engine, { load });

  let chat: UseChat | undefined;
  let renders = 0;
  const View = (options: UseChatOptions): string => {
    renders += 1;
    chat = useChat(options);
    return chat.messages.map(({ content }) => content).join('|');
  };
  const place = document.body.appendChild(document.createElement('div'));
  const root = createRoot(place);
  const show = (options: UseChatOptions): void =>
    root.render(createElement(StrictMode, null, createElement(View, options)));

  show({ model: 'a', temperature: 0.5 });
  await until('a is ready', () => chat?.status === 'ready');
  const { sendMessage } = chat ?? {};
  await sendMessage?.('Hi');
  await until('the reply is shown', () => place.textContent === 'Hi|Hello');
  events.push(`temperature ${engines.get('a')?.requests[0]?.temperature}`);
  const before = renders;
  show({ model: 'a', temperature: 1 });
  await until('the option is new', () => renders > before);
  await new Promise((resolve) => setTimeout(resolve, 50)); // for the effects
  await sendMessage?.('Again');
  events.push(`temperature ${engines.get('a')?.requests[1]?.temperature}`);

  show({ model: 'b' });
  await until('b is ready', () => engines.has('b') && chat?.status === 'ready');
  const b = engines.get('b');
  if (b !== undefined) b.script = { pieces: ['Wait', never] };
  void sendMessage?.('Well?');
  await until('the reply begins', () => place.textContent.endsWith('|Wait'));
  show({ model: 'never' });
  await until('never is being loaded', () => events.includes('load never'));
  events.push(`cancelled ${b?.cancelled}, kept ${place.textContent.endsWith('|Wait')}`);
  chat?.reload();
  await until('it is loaded anew', () => events.filter((e) => e === 'load never').length === 2);

  const own = new ScriptedEngine({ pieces: ['Mine', never] });
  show({ engine: own });
  await until('it is there', () => chat?.engine === own);
  void sendMessage?.('Yours?');
  await until('it speaks', () => place.textContent.endsWith('|Mine'));
  root.unmount();
  await until('the reply is cancelled', () => own.cancelled === 1);
  const last = renders;
  await new Promise((resolve) => setTimeout(resolve, 50));
  events.push(`rendered after unmounting ${renders - last}, disposed ${own.isDisposed}`);
  return events;
}
