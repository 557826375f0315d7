/** HTTP requests that survive passing faults. @module */
import { DownloadError, QuernError, RequestError } from '../../util/errors.ts';
import { describeValue, isRecord } from '../../util/objects.ts';

/** How to talk to a server. */
export interface HttpOptions {
  /** Sent with every request, e.g. `{ Authorization: 'Bearer hf_…' }` for a gated repository. */
  readonly headers?: Readonly<Record<string, string>>;
  /** In place of the platform's `fetch`. */
  readonly fetch?: typeof fetch;
  /** Pause before the first repetition of a failed request; doubles with each. Default 500. */
  readonly retryDelayMs?: number;
}

/** Times a request is repeated after network failures, 429 and 5xx. */
const MAX_RETRIES = 3;

/** Longest pause that a server's Retry-After is granted. */
const MAX_RETRY_AFTER_MS = 30_000;

/** @throws {RequestError} if an option is unknown or of the wrong kind: requests would fail as if the network did */
export function checkHttpOptions(options: HttpOptions = {}): void {
  const wrong = Object.entries(options).find(([name, value]) => !isHttpOption(name, value));
  if (wrong === undefined) return;
  // No header's value: it may be a secret.
  throw new RequestError(
    `load: http.${wrong[0]} is ${describeValue(wrong[1])}, expected headers (names and texts), fetch (a function) or retryDelayMs (a number)`,
    { param: 'http' },
  );
}

function isHttpOption(name: string, value: unknown): boolean {
  if (value === undefined) return true;
  if (name === 'fetch') return typeof value === 'function';
  if (name === 'retryDelayMs') return Number.isFinite(value) && Number(value) >= 0;
  // The platform's own Headers have no properties: they would be taken for none.
  if (name !== 'headers' || !isRecord(value) || value instanceof Headers) return false;
  try {
    const headers = new Headers();
    for (const [key, text] of Object.entries(value)) headers.append(key, String(text));
    return true;
  } catch {
    return false;
  }
}

interface RequestOptions {
  readonly method?: 'GET' | 'HEAD';
  readonly headers?: Readonly<Record<string, string>>;
}

/** Failures of requests to which no reply came, or none that the browser lets the page see. */
const unanswered = new WeakSet<object>();

/** Whether a request failed without a reply. */
export function isUnanswered(error: unknown): boolean {
  return typeof error === 'object' && error !== null && unanswered.has(error);
}

/** A failure that another attempt may cure, e.g. a reply that broke off. */
export class PassingError extends Error {}

/**
 * Sends a request and reads the reply, both again after a failure that may pass.
 *
 * @param read - reads the reply's body; throws {@link PassingError} to have the request repeated
 * @throws {DownloadError} when the retries are used up, or the server denies access
 * @throws `signal.reason` when aborted
 */
export async function request<T>(
  url: string,
  init: RequestOptions,
  options: HttpOptions,
  signal: AbortSignal | undefined,
  read: (response: Response) => Promise<T>,
): Promise<T> {
  // Called through a closure: the browser's fetch refuses to be a method of another object.
  const send: typeof fetch = options.fetch ?? ((input, sent) => fetch(input, sent));
  for (let retry = 0; ; retry++) {
    signal?.throwIfAborted();
    let pauseMs = (options.retryDelayMs ?? 500) * 2 ** retry;
    let failure: DownloadError;
    let hasReply = false;
    try {
      const response = await send(url, {
        ...init,
        headers: { ...options.headers, ...init.headers },
        signal: signal ?? null,
      });
      hasReply = true;
      const { status } = response;
      if (status !== 429 && status < 500) {
        if (status === 401 || status === 403) throw await accessDenied(url, response);
        return await read(response);
      }
      failure = new DownloadError(
        url,
        `the server answered ${status} ${retry + 1} times; try again later`,
        { status },
      );
      pauseMs = Math.max(pauseMs, retryAfterMs(response));
      await response.body?.cancel();
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof QuernError) throw cause;
      failure = networkFailure(url, cause);
      if (!hasReply) unanswered.add(failure);
    }
    if (retry === MAX_RETRIES) throw failure;
    await sleep(pauseMs, signal);
  }
}

async function accessDenied(url: string, response: Response): Promise<DownloadError> {
  await response.body?.cancel();
  const { status } = response;
  return new DownloadError(
    url,
    `the server answered ${status}: the model does not exist, or it is private or gated; check its name, or accept its terms and pass an access token, headers: { Authorization: 'Bearer …' }`,
    { status },
  );
}

function networkFailure(url: string, cause: unknown): DownloadError {
  const found = cause instanceof Error ? cause.message : String(cause);
  const advice =
    cause instanceof PassingError
      ? 'the connection or the server cuts replies short'
      : 'check the connection, and that the server allows requests from this page (CORS)';
  return new DownloadError(url, `the download failed (${found}); ${advice}`, { cause });
}

/** The Retry-After header in its form of seconds; its date form is rare and ignored. */
function retryAfterMs(response: Response): number {
  const seconds = Number(response.headers.get('Retry-After'));
  return seconds > 0 ? Math.min(seconds * 1000, MAX_RETRY_AFTER_MS) : 0;
}

/** @throws `signal.reason` as soon as aborted */
async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    signal?.addEventListener('abort', wake);
  });
  signal?.throwIfAborted();
}
