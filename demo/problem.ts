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
} from 'quern';

/** What a button of the problem box does: loads the same model again, the bundled one, or begins a new chat. */
export type Action = 'retry' | 'bundled' | 'new-chat';

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
      actions: ['retry', 'bundled'],
    };
  }
  if (error instanceof DownloadError) {
    return {
      title: 'A file of the model could not be read',
      advice: ['Check that the server runs or that the folder is still there, then try again.'],
      detail,
      actions: ['retry', 'bundled'],
    };
  }
  if (
    error instanceof ConfigError ||
    error instanceof WeightFileError ||
    error instanceof TokenizerError ||
    error instanceof RequestError
  ) {
    return {
      title: 'This is not a model that Quern can run',
      advice: [
        'Open the folder of a LLaMA or Mistral model: config.json, tokenizer.json and safetensors files.',
      ],
      detail,
      actions: ['retry', 'bundled'],
    };
  }
  return explainDefect(detail, ['retry', 'bundled']);
}

/** Explains why a reply broke off or did not begin. */
export function explainReplyFailure(error: unknown): Problem {
  const detail = messageOf(error);
  if (error instanceof DeviceLostError) return explainDeviceLost(detail);
  if (error instanceof OutOfMemoryError) {
    return {
      title: 'The GPU ran out of memory',
      advice: ['Close other pages that use the GPU, then load the model again.'],
      detail,
      actions: ['retry'],
    };
  }
  if (error instanceof RequestError) {
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
  actions: ['retry', 'bundled'],
};

/** Browser versions: https://github.com/gpuweb/gpuweb/wiki/Implementation-Status */
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
      'The model computes by WebGPU, which this browser lacks or has turned off. It is in Chrome and Edge from 113 (Android: 121), in Safari from 26, and in Firefox from 141 on Windows and from 145 on Macs with Apple silicon.',
      'On Linux it may have to be turned on: chrome://flags/#enable-unsafe-webgpu in Chrome, dom.webgpu.enabled on the page about:config in Firefox.',
    ],
    actions: [],
  };
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
