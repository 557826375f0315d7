/** What went wrong, what to do about it. @module */
import {
  ConfigError,
  DeviceLimitError,
  DeviceLostError,
  DownloadError,
  NoWebGpuError,
  OutOfMemoryError,
  RequestError,
  TokenizerError,
  WeightFileError,
  WorkerError,
} from 'quern';
import { BUNDLED } from './bundled.ts';
import type { Settings } from './state/types.ts';

/**
 * What a button of the problem box does. `retry`, `allow` and `download` all load the last choice; `choose` opens the
 * list of models.
 */
export type Action = 'retry' | 'allow' | 'download' | 'bundled' | 'choose' | 'new-chat';

/** What the buttons say. */
export const ACTION_NAMES: Readonly<Record<Action, string>> = {
  retry: 'Load the model again',
  allow: 'Allow and load',
  download: 'Load it',
  bundled: `Load ${BUNDLED.name}`,
  choose: 'Choose a model…',
  'new-chat': 'New chat',
};

/** A problem in the words of the page. */
export interface Problem {
  readonly title: string;
  readonly advice: readonly string[];
  /** The error's own message, where it says more than the advice. */
  readonly detail?: string;
  readonly actions: readonly Action[];
}

/** Facts of the page that decide what helps. */
export interface Surroundings {
  /** Whether the page has `navigator.gpu`. */
  readonly hasWebGpu: boolean;
  readonly isSecureContext: boolean;
  readonly isOnline: boolean;
  readonly userAgent: string;
}

/** The surroundings of this page. */
export function surroundings(): Surroundings {
  const { onLine, userAgent } = navigator;
  return { hasWebGpu: 'gpu' in navigator, isSecureContext, isOnline: onLine, userAgent };
}

/** Explains why a model did not load. */
export function explainLoadFailure(error: unknown, surroundings: Surroundings): Problem {
  const detail = messageOf(error);
  if (error instanceof NoWebGpuError) return explainNoWebGpu(detail, surroundings);
  if (error instanceof DeviceLostError) return explainDeviceLost(detail);
  if (error instanceof DeviceLimitError || error instanceof OutOfMemoryError) {
    return {
      title: 'The model is too large for this device',
      advice: ['Close other pages that use the GPU, or open a smaller model.'],
      detail,
      actions: ['retry', 'choose', 'bundled'],
    };
  }
  if (error instanceof DownloadError) return explainDownload(error, surroundings);
  if (error instanceof WorkerError) return explainWorkerDeath(detail);
  if (error instanceof WeightFileError) {
    return {
      title: 'The weights of the model cannot be used',
      advice: ['A file is damaged or incomplete, or belongs to another model. Get it again.'],
      detail,
      actions: ['retry', 'choose', 'bundled'],
    };
  }
  if (
    error instanceof ConfigError ||
    error instanceof TokenizerError ||
    error instanceof RequestError
  ) {
    return {
      title: 'This is not a model that Quern can run',
      advice: [
        'Open the folder of a LLaMA or Mistral model: config.json, tokenizer.json and safetensors files.',
      ],
      detail,
      actions: ['retry', 'choose', 'bundled'],
    };
  }
  return explainDefect(detail, ['retry', 'bundled']);
}

/** Options of a request that the user chooses. */
const SETTINGS: ReadonlySet<string> = new Set<keyof Settings>([
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'repetition_penalty',
  'max_tokens',
  'seed',
]);

/** Explains why a reply broke off or did not begin. */
export function explainReplyFailure(error: unknown): Problem {
  const detail = messageOf(error);
  if (error instanceof DeviceLostError) return explainDeviceLost(detail);
  if (error instanceof WorkerError) return explainWorkerDeath(detail);
  if (error instanceof OutOfMemoryError) {
    return {
      title: 'The GPU ran out of memory',
      advice: ['Close other pages that use the GPU, then load the model again.'],
      detail,
      actions: ['retry'],
    };
  }
  if (error instanceof RequestError) {
    if (error.param !== undefined && SETTINGS.has(error.param)) {
      return {
        title: 'A setting is refused',
        advice: ['Change it in the settings of this chat, or go back to the model’s own.'],
        detail,
        actions: [],
      };
    }
    // Old messages are left out where they do not fit, so it is the new one that is too long.
    return error.param === 'prompt'
      ? {
          title: 'The message is too long',
          advice: ['The model cannot read so much text at once. Shorten the message.'],
          detail,
          actions: [],
        }
      : {
          title: 'The request was refused',
          advice: ['Write the message in another way, or begin a new chat.'],
          detail,
          actions: ['new-chat'],
        };
  }
  if (error instanceof TokenizerError) {
    return {
      title: 'The model has no usable chat template',
      advice: [
        'It continues text but was not made for conversations, or its template refuses this one.',
      ],
      detail,
      actions: ['new-chat', 'bundled'],
    };
  }
  return explainDefect(detail, ['retry', 'new-chat']);
}

/** What the page says after the user cancelled loading. */
export const CANCELLED: Problem = {
  title: 'Loading was cancelled',
  advice: [],
  actions: ['retry', 'choose', 'bundled'],
};

/** What the page asks before it reads a folder again. */
export const ASK_FOLDER: Problem = {
  title: 'The folder needs your permission',
  advice: ['The browser asks each time before a page may read a folder of yours.'],
  actions: ['allow', 'choose', 'bundled'],
};

/** What the page asks before it downloads again the model of the last visit. */
export function askDownload(name: string): Problem {
  return {
    title: `Load ${name} again?`,
    advice: ['You used this model last. What the browser has not kept of it is downloaded again.'],
    actions: ['download', 'choose', 'bundled'],
  };
}

function explainDownload(error: DownloadError, { isOnline }: Surroundings): Problem {
  const detail = messageOf(error);
  const isRemote = /^https?:/.test(error.url);
  if (isRemote && error.status === undefined && !isOnline) {
    return {
      title: 'You are offline',
      advice: [
        `The model has to be downloaded, and there is no network. ${BUNDLED.name} and models on your disk work without one.`,
      ],
      detail,
      actions: ['retry', 'bundled', 'choose'],
    };
  }
  if (error.status === 401 || error.status === 403) {
    return {
      title: 'The server denies access to the model',
      advice: [
        'Check the name for a slip of the pen. If the model is gated, accept its terms on its page at the hub, then enter an access token in the list of models.',
      ],
      detail,
      actions: ['choose', 'bundled'],
    };
  }
  return {
    title: 'A file of the model could not be read',
    advice: isRemote
      ? [
          'Check the address and the connection; the server must allow requests from other pages (CORS).',
        ]
      : ['Check that the folder is still there and unchanged, then open it again.'],
    detail,
    actions: ['retry', 'choose', 'bundled'],
  };
}

function explainWorkerDeath(detail: string): Problem {
  return {
    title: 'The worker of the model has died',
    advice: [
      'The browser ended it, mostly because memory ran short. The conversation is still here: load the model again and go on.',
    ],
    detail,
    actions: ['retry', 'choose', 'bundled'],
  };
}

function explainNoWebGpu(detail: string, surroundings: Surroundings): Problem {
  const title = 'This page cannot use WebGPU';
  if (!surroundings.isSecureContext) {
    return {
      title,
      advice: ['Browsers offer WebGPU only to pages from https:// or from localhost.'],
      actions: [],
    };
  }
  if (surroundings.hasWebGpu) {
    return {
      title,
      advice: [
        'The browser has WebGPU but found no graphics processor for it. Turn on hardware acceleration in its settings, and update the graphics driver.',
        'On Linux, chrome://flags/#enable-unsafe-webgpu lets Chrome use drivers it does not know.',
      ],
      detail,
      actions: ['retry'],
    };
  }
  return {
    title,
    advice: [
      'The model computes by WebGPU, which this browser lacks or has turned off.',
      helpFor(surroundings.userAgent),
      'WebGPU is in Chrome and Edge from 113 (Android: 121), in Safari from 26, and in Firefox from 141 on Windows and from 145 on Macs with Apple silicon.',
    ],
    actions: [],
  };
}

/** Versions: https://github.com/gpuweb/gpuweb/wiki/Implementation-Status */
function helpFor(userAgent: string): string {
  const isLinux = /Linux/.test(userAgent) && !/Android/.test(userAgent);
  // All browsers on these are Safari inside.
  if (/iPhone|iPad/.test(userAgent)) return 'Update the system to version 26.';
  if (/Firefox\//.test(userAgent)) {
    return /Android/.test(userAgent)
      ? 'Firefox for Android does not have it yet: open this page in Chrome.'
      : 'Update Firefox, or set dom.webgpu.enabled to true on the page about:config.';
  }
  if (/Edg\//.test(userAgent)) {
    return isLinux
      ? 'Update Edge, then turn on “Unsafe WebGPU Support” on the page edge://flags.'
      : 'Update Edge, and turn on graphics acceleration in its settings under System.';
  }
  if (/Chrome\//.test(userAgent)) {
    return isLinux
      ? 'Update Chrome, then turn on “Unsafe WebGPU Support” on the page chrome://flags/#enable-unsafe-webgpu.'
      : 'Update Chrome, and turn on graphics acceleration in its settings under System.';
  }
  if (/Safari\//.test(userAgent))
    return 'Update Safari to 26, which comes with version 26 of the system.';
  return 'Open this page in one of these browsers:';
}

function explainDeviceLost(detail: string): Problem {
  return {
    title: 'The GPU was lost',
    advice: [
      'Its driver was reset, or the system took it away. The conversation is still here: load the model again and go on.',
    ],
    detail,
    actions: ['retry'],
  };
}

function explainDefect(detail: string, actions: readonly Action[]): Problem {
  return {
    title: 'Something failed that should not',
    advice: [
      'This is a defect of Quern or of the graphics driver. Please report it with the text below.',
    ],
    detail,
    actions,
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
