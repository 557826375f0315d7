// What we use of the package, whose own types are there only when the peers are installed (`paths` in tsconfig.json).
interface Request {
  readonly prompt: string;
  readonly max_tokens: number;
  readonly temperature: number;
  readonly ignore_eos: boolean;
  readonly cache_prompt: boolean;
  readonly n_probs?: number;
}

interface Probability {
  readonly id: number;
  readonly logprob: number;
}

interface Completion {
  readonly choices: readonly {
    readonly text: string;
    readonly logprobs: {
      readonly content: readonly { readonly top_logprobs: readonly Probability[] }[];
    } | null;
  }[];
}

type Log = (...words: readonly unknown[]) => void;

export declare class Wllama {
  static getLibllamaVersion(): string;
  constructor(
    paths: { readonly default: string },
    options: { readonly logger: Readonly<Record<'debug' | 'log' | 'warn' | 'error', Log>> },
  );
  loadModel(files: readonly Blob[], options: object): Promise<void>;
  getNumThreads(): number;
  createCompletion(
    request: Request & { readonly stream: true },
  ): Promise<AsyncIterable<Completion>>;
  createCompletion(request: Request): Promise<Completion>;
  exit(): Promise<void>;
}
