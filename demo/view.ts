/** Shows the state of a session in the page's elements. @module */
import type { EngineStats, LoadProgress } from 'quern';
import { BUNDLED, isBundled } from './bundled.ts';
import {
  type Action,
  CANCELLED,
  explainLoadFailure,
  explainReplyFailure,
  type Problem,
} from './problem.ts';
import type { Place, SessionView, Turn } from './session.ts';
import { openTurn } from './turn.ts';
import { describeModel, describeProgress, describeLimits } from './wording.ts';

const ACTION_NAMES: Readonly<Record<Action, string>> = {
  retry: 'Load the model again',
  bundled: `Load ${BUNDLED.name}`,
  'new-chat': 'New chat',
};

/** The element of an id. @throws {Error} if the page has none of that kind */
export function element<T extends Element>(id: string, kind: abstract new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`page: no ${kind.name} has the id ${id}`);
}

/** The page. */
export class View implements SessionView {
  readonly #onAction: (action: Action) => void;
  readonly #model = element('model', HTMLElement);
  readonly #main = element('main', HTMLElement);
  readonly #welcome = element('welcome', HTMLElement);
  readonly #notices = element('notices', HTMLElement);
  readonly #suggestions = element('suggestions', HTMLElement);
  readonly #loading = element('loading', HTMLElement);
  readonly #loadingText = element('loading-text', HTMLElement);
  readonly #loadingBar = element('loading-bar', HTMLProgressElement);
  readonly #log = element('log', HTMLElement);
  readonly #problem = element('problem', HTMLElement);
  readonly #draft = element('draft', HTMLTextAreaElement);
  readonly #send = element('send', HTMLButtonElement);
  readonly #stop = element('stop', HTMLButtonElement);
  #place: Place = BUNDLED.url;

  /** @param onAction - called when a button of the problem box is pressed */
  constructor(onAction: (action: Action) => void) {
    this.#onAction = onAction;
  }

  showLoading(place: Place): void {
    this.#place = place;
    this.#model.textContent = `Loading ${nameOf(place)}…`;
    this.#notices.replaceChildren();
    this.#loadingText.textContent = 'Starting';
    this.#loadingBar.removeAttribute('value');
    this.#loading.hidden = false;
    this.#setReady(false);
  }

  showProgress(progress: LoadProgress): void {
    this.#loadingText.textContent = describeProgress(progress);
    if (progress.phase === 'weights' && progress.totalBytes > 0) {
      this.#loadingBar.value = progress.loadedBytes / progress.totalBytes;
    } else {
      this.#loadingBar.removeAttribute('value');
    }
  }

  showReady(stats: EngineStats): void {
    this.#hide(this.#loading);
    const isToy = isBundled(this.#place);
    this.#model.textContent = describeModel(isToy ? BUNDLED.name : stats.model.name, stats);
    const notices = [...(isToy ? [BUNDLED.notice] : []), ...describeLimits(stats)];
    this.#notices.replaceChildren(...notices.map((notice) => textElement('li', notice)));
    this.#setReady(true);
  }

  showLoadFailure(error: unknown, isCancelled: boolean): void {
    this.#hide(this.#loading);
    this.#model.textContent = 'No model is loaded';
    this.showProblem(
      isCancelled
        ? CANCELLED
        : explainLoadFailure(error, { hasWebGpu: 'gpu' in navigator, isSecureContext }),
    );
  }

  showReplyFailure(error: unknown): void {
    this.showProblem(explainReplyFailure(error));
  }

  clearProblem(): void {
    this.#hide(this.#problem);
    this.#problem.replaceChildren();
  }

  openTurn(message: string): Turn {
    this.#welcome.hidden = true;
    return openTurn(this.#log, message, () => {
      this.#draft.value = [message, this.#draft.value].filter((text) => text !== '').join('\n');
      this.#welcome.hidden = this.#log.childElementCount > 0;
    });
  }

  clearTurns(): void {
    this.#log.replaceChildren();
    this.#welcome.hidden = false;
  }

  showReplying(isReplying: boolean): void {
    const [shown, hidden] = isReplying ? [this.#stop, this.#send] : [this.#send, this.#stop];
    const hadFocus = document.activeElement === hidden;
    shown.hidden = false;
    hidden.hidden = true;
    if (hadFocus) shown.focus();
  }

  /** Shows the problem box, in place of what it showed before. */
  showProblem({ title, advice, detail, actions }: Problem): void {
    // Loading the bundled model again is one button, not two.
    const offered = actions.filter((action) => action !== 'bundled' || !isBundled(this.#place));
    const buttons = document.createElement('div');
    buttons.className = 'actions';
    for (const action of offered) {
      const button = textElement('button', ACTION_NAMES[action]);
      button.type = 'button';
      button.addEventListener('click', () => this.#onAction(action));
      buttons.append(button);
    }
    const small = textElement('p', detail ?? '');
    small.className = 'detail';
    this.#problem.replaceChildren(
      textElement('h2', title),
      ...advice.map((sentence) => textElement('p', sentence)),
      ...(detail === undefined ? [] : [small]),
      buttons,
    );
    this.#problem.hidden = false;
    this.#problem.scrollIntoView({ block: 'nearest' });
  }

  /** A keyboard user who pressed a button in the section goes on from where it was, not from the top of the page. */
  #hide(section: HTMLElement): void {
    if (section.contains(document.activeElement)) this.#main.focus();
    section.hidden = true;
  }

  #setReady(isReady: boolean): void {
    this.#send.disabled = !isReady;
    this.#suggestions.hidden = !isReady;
  }
}

function nameOf(place: Place): string {
  if (isBundled(place)) return BUNDLED.name;
  return typeof place === 'string' ? place : 'the opened files';
}

function textElement<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  text: string,
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
