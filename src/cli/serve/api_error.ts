import {
  DeviceLostError,
  DisposedError,
  OutOfMemoryError,
  RequestError,
  TokenizerError,
  WorkerError,
} from '../../util/errors.ts';

/** The body of an answer that is an error, in OpenAI's shape. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: 'invalid_request_error' | 'authentication_error' | 'server_error';
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** An HTTP request that is answered with an error. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status. */
  readonly status: number;
  readonly param: string | null;
  /** OpenAI's word for the case, e.g. `model_not_found`. */
  readonly code: string | null;
  /** Further headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    message: string,
    options: {
      readonly param?: string | undefined;
      readonly code?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.status = status;
    this.param = options.param ?? null;
    this.code = options.code ?? null;
    this.headers = options.headers ?? {};
  }

  /** The body of the answer. */
  get body(): ErrorBody {
    const { message, param, code, status } = this;
    const type =
      status >= 500
        ? 'server_error'
        : status === 401
          ? 'authentication_error'
          : 'invalid_request_error';
    return { error: { message, type, param, code } };
  }
}

/** What to answer when a request ends with `error`: the caller's mistakes are 400, a model that is gone is 503. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RequestError) {
    return new ApiError(400, message, { param: error.param, cause: error });
  }
  if (error instanceof TokenizerError) {
    return new ApiError(400, message, { param: 'messages', cause: error });
  }
  const isGone =
    error instanceof DisposedError ||
    error instanceof DeviceLostError ||
    error instanceof OutOfMemoryError ||
    error instanceof WorkerError;
  return new ApiError(isGone ? 503 : 500, message, { cause: error });
}
