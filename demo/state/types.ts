/** What the chat page knows and keeps. @module */
import type { EngineStats, LoadProgress, Usage } from 'quern';
import type { Problem } from '../problem.ts';

/** Sampling options of a conversation; what is missing is left to the model. */
export interface Settings {
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly repetition_penalty?: number;
  readonly max_tokens?: number;
  readonly seed?: number;
}

/** How a reply ended: by itself, at a length limit, by the user, by an error. */
export type Ending = 'complete' | 'cut' | 'stopped' | 'failed';

interface Node {
  readonly id: string;
  /** The message it follows; null for the first ones. */
  readonly parentId: string | null;
  readonly content: string;
  /** Milliseconds since 1970, as all times here. */
  readonly createdAt: number;
}

/** What the user wrote. */
export interface UserMessage extends Node {
  readonly role: 'user';
}

/** What the model answered. */
export interface Reply extends Node {
  readonly role: 'assistant';
  /** Name of the model. */
  readonly model: string;
  /** Missing while it is written, and for ever if the page was closed meanwhile. */
  readonly ending?: Ending;
  readonly usage?: Usage;
  /** The model saw only the end of the conversation: the rest does not fit its context. */
  readonly isShortened?: boolean;
}

/** One message of a conversation's tree. */
export type Message = UserMessage | Reply;

/** The messages of a conversation: messages of the same parent are branches. */
export interface MessageTree {
  /** In no order that matters. */
  readonly messages: readonly Message[];
  /** Last message of the branch that is shown; null where there is none. */
  readonly headId: string | null;
}

/** A conversation without its messages: what the list of conversations needs. */
export interface ConversationInfo {
  readonly id: string;
  readonly title: string;
  /** The user's own title stays, whatever is said. */
  readonly hasOwnTitle: boolean;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly systemPrompt: string;
  readonly settings: Settings;
  readonly headId: string | null;
  /** When it was deleted; it can be had back for some seconds. */
  readonly deletedAt?: number;
}

/** A conversation. */
export interface Conversation extends ConversationInfo, MessageTree {}

/** A conversation in which a search found something. */
export interface SearchHit {
  readonly info: ConversationInfo;
  /** Text round the first place, in three parts: before, found, after; missing where the title was found. */
  readonly snippet?: readonly [before: string, found: string, after: string];
}

/** Where conversations are kept: on the disk, or only until the page is closed, and why. */
export type Keeping =
  | { readonly kind: 'opening' }
  | { readonly kind: 'kept' }
  | {
      readonly kind: 'memory';
      /**
       * `missing`: the browser has no storage for this page, as in some private windows; `full`: no room is left;
       * `outdated`: a newer version of the page took over, in another tab; `blocked`: an older one in another tab has
       * not let go yet; `broken`: anything else.
       */
      readonly why: 'missing' | 'full' | 'outdated' | 'blocked' | 'broken';
    };

/** What a model is loaded from. */
export type ModelChoice =
  | { readonly kind: 'bundled' }
  /** A hub id (`owner/name`, `owner/name@revision`) or the URL of a folder. */
  | { readonly kind: 'remote'; readonly location: string }
  | { readonly kind: 'files'; readonly files: readonly File[] }
  /** A folder that can be opened again after a reload, if the user agrees again. */
  | { readonly kind: 'folder'; readonly handle: FileSystemDirectoryHandle };

/** How far loading has come, and how fast. */
export interface Progress extends LoadProgress {
  /** Missing until there is something to measure. */
  readonly bytesPerSecond?: number;
  readonly secondsLeft?: number;
}

/** What the model host is doing. */
export type LoadState =
  | { readonly kind: 'none' }
  | { readonly kind: 'loading'; readonly choice: ModelChoice; readonly progress?: Progress }
  | { readonly kind: 'ready'; readonly choice: ModelChoice; readonly stats: EngineStats }
  /** The GPU was lost, and the engine is setting up another; open replies wait. */
  | { readonly kind: 'recovering'; readonly choice: ModelChoice; readonly stats: EngineStats }
  /** No model, and what to do about it: also after a cancel, and before a permission or a large download. */
  | { readonly kind: 'failed'; readonly choice: ModelChoice; readonly problem: Problem };

/** A reply under way. */
export interface Replying {
  readonly conversationId: string;
  /** The message that is written. */
  readonly messageId: string;
}

/** How much of the context the branch that is shown takes. */
export interface ContextUse {
  readonly tokens: number;
  readonly contextLength: number;
}
