import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Engine } from '../../engine/api.ts';
import { describeValue } from '../../util/objects.ts';
import { allowOrigin, checkHost, checkKey, isLoopback } from './access.ts';
import { ApiError, toApiError } from './api_error.ts';
import { answerChat, answerCompletion } from './completions.ts';
import { readJson, sendJson } from './http.ts';

/** Settings of an {@link ApiServer}. */
export interface ApiServerOptions {
  /** Name by which clients ask for the model. */
  readonly model: string;
  /** Address to listen on; others than this machine's own can be reached from outside. */
  readonly host: string;
  /** 0 takes any that is free. */
  readonly port: number;
  /** What clients must send as bearer token, if anything. */
  readonly apiKey?: string | undefined;
  /** Sites whose pages may use the server; `*` is all. */
  readonly corsOrigins: readonly string[];
  /** Longest request body. Default 16 MiB. */
  readonly maxBodyBytes?: number;
  /** Told about each request when it has been answered. */
  readonly onAnswered?: (request: AnsweredRequest) => void;
}

/** A line of the access log. */
export interface AnsweredRequest {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly elapsedMs: number;
  /** Whether the client left before the end. */
  readonly isAborted: boolean;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
type Routes = Readonly<Partial<Record<'GET' | 'POST', Handler>>>;

const MAX_BODY_BYTES = 16 * 2 ** 20;
/** nginx's status for it; nobody gets to see it but the log. */
const CLIENT_LEFT = 499;
const MODEL_PATH = '/v1/models/';

/**
 * OpenAI's HTTP API over one engine.
 *
 * It listens before the model is loaded, and answers 503 until {@link ApiServer.use}; requests that run at the same
 * time are batched by the engine. https://platform.openai.com/docs/api-reference
 */
export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #server: Server;
  readonly #unanswered = new Set<ServerResponse>();
  readonly #running = new Set<AbortController>();
  readonly #created = Math.floor(Date.now() / 1000);
  readonly #routes: ReadonlyMap<string, Routes>;
  #engine: Engine | undefined;
  /** Why the last reply failed, unless that was the client's doing. */
  #failure: ApiError | undefined;
  #isClosing = false;

  private constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#routes = new Map<string, Routes>([
      ['/health', { GET: (_, response) => this.#answerHealth(response) }],
      ['/v1/models', { GET: (_, response) => this.#answerModels(response) }],
      ['/v1/chat/completions', { POST: this.#generating(answerChat) }],
      ['/v1/completions', { POST: this.#generating(answerCompletion) }],
    ]);
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  /**
   * Starts listening.
   *
   * @throws the system's error, e.g. with code `EADDRINUSE`
   */
  static async listen(options: ApiServerOptions): Promise<ApiServer> {
    const server = new ApiServer(options);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(options.port, options.host, () => {
        server.#server.off('error', reject);
        resolve();
      });
    });
    return server;
  }

  /** Where the API is, e.g. `http://127.0.0.1:8000/v1`: the base URL for clients. */
  get url(): string {
    const address = this.#server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { host } = this.#options;
    return `http://${host.includes(':') ? `[${host}]` : host}:${port}/v1`;
  }

  /** Answers with this engine from now on. The engine stays the caller's. */
  use(engine: Engine): void {
    this.#engine = engine;
  }

  /**
   * Takes no more requests, and resolves when all that run have been answered.
   *
   * @param graceMs - how long they may go on; then they end with an error
   */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#closeIfUnused();
    const timers = [
      setTimeout(() => {
        for (const running of this.#running) running.abort(shuttingDown());
      }, graceMs),
      // Clients that send slowly, or do not read.
      setTimeout(() => this.#server.closeAllConnections(), graceMs + 1000),
    ];
    await closed;
    for (const timer of timers) clearTimeout(timer);
  }

  /** Browsers keep connections on which they never sent anything: Node would wait for those. */
  #closeIfUnused(): void {
    if (this.#isClosing && this.#unanswered.size === 0) this.#server.closeAllConnections();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const begin = performance.now();
    const { method = '', url = '/' } = request;
    this.#unanswered.add(response);
    const path = url.replace(/\?.*$/s, '');
    response.once('close', () => {
      this.#options.onAnswered?.({
        method,
        path,
        status: response.headersSent ? response.statusCode : CLIENT_LEFT,
        elapsedMs: performance.now() - begin,
        isAborted: !response.writableFinished,
      });
      this.#unanswered.delete(response);
      this.#closeIfUnused();
    });
    try {
      await this.#answer(request, response, method, path);
    } catch (error) {
      const { status, body, headers } = toApiError(error);
      sendJson(response, status, body, headers);
    }
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    method: string,
    path: string,
  ): Promise<void> {
    const { host, apiKey, corsOrigins } = this.#options;
    if (isLoopback(host)) checkHost(request);
    allowOrigin(request, response, corsOrigins);
    const routes = path.startsWith(MODEL_PATH)
      ? { GET: () => this.#answerModel(path.slice(MODEL_PATH.length), response) }
      : this.#routes.get(path);
    if (routes === undefined) {
      throw new ApiError(404, `request: there is nothing at ${method} ${path}`, {
        code: 'unknown_url',
      });
    }
    if (method === 'OPTIONS' && corsOrigins.length > 0) {
      response.writeHead(204).end();
      return;
    }
    const handler = handlerOf(routes, method);
    if (handler === undefined) {
      const allowed = Object.keys(routes).join(', ');
      throw new ApiError(405, `request: ${path} was asked by ${method}, expected ${allowed}`, {
        code: 'method_not_allowed',
        headers: { Allow: allowed },
      });
    }
    if (apiKey !== undefined && path !== '/health') checkKey(request, apiKey);
    await handler(request, response);
  }

  async #answerHealth(response: ServerResponse): Promise<void> {
    const { requests } = await this.#ready().stats();
    if (this.#failure !== undefined) throw this.#failure;
    sendJson(response, 200, { status: 'ok', ...requests });
  }

  #answerModels(response: ServerResponse): void {
    sendJson(response, 200, { object: 'list', data: [this.#describeModel()] });
  }

  #answerModel(encoded: string, response: ServerResponse): void {
    let id = encoded;
    try {
      id = decodeURIComponent(encoded);
    } catch {
      // Not an encoded name, and so not the model's either.
    }
    this.#checkModel(id);
    sendJson(response, 200, this.#describeModel());
  }

  #describeModel(): object {
    const { model } = this.#options;
    return { id: model, object: 'model', created: this.#created, owned_by: 'quern' };
  }

  /** Runs a generation that ends early when the client goes or the server must. */
  #generating(answer: typeof answerChat): Handler {
    return async (request, response) => {
      const engine = this.#ready();
      const body = await readJson(request, this.#options.maxBodyBytes ?? MAX_BODY_BYTES);
      const { model } = this.#options;
      this.#checkModel(body['model'] ?? model);
      const running = new AbortController();
      const onGone = (): void => running.abort(new ApiError(CLIENT_LEFT, 'the client has gone'));
      response.once('close', onGone);
      this.#running.add(running);
      try {
        await answer({ engine, model, body, response, signal: running.signal });
        this.#failure = undefined;
      } catch (error) {
        const failure = toApiError(error);
        if (failure.status >= 500) this.#failure = failure;
        throw failure;
      } finally {
        response.off('close', onGone);
        this.#running.delete(running);
      }
    };
  }

  #ready(): Engine {
    if (this.#isClosing) throw shuttingDown();
    if (this.#engine !== undefined) return this.#engine;
    throw new ApiError(503, 'server: the model is being loaded; try again soon', {
      code: 'model_loading',
      headers: { 'Retry-After': '5' },
    });
  }

  #checkModel(id: unknown): void {
    const { model } = this.#options;
    if (id === model) return;
    throw new ApiError(404, `request: model is ${describeValue(id)}, expected "${model}"`, {
      param: 'model',
      code: 'model_not_found',
    });
  }
}

function handlerOf(routes: Routes, method: string): Handler | undefined {
  if (method === 'POST') return routes.POST;
  // Node leaves the body out of answers to HEAD.
  return method === 'GET' || method === 'HEAD' ? routes.GET : undefined;
}

function shuttingDown(): ApiError {
  return new ApiError(503, 'server: shutting down; try another', { code: 'shutting_down' });
}
