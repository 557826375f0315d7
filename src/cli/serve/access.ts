/** Who may talk to the server. @module */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from './api_error.ts';

/** Whether an address or name is this machine's own, which no other machine can reach. */
export function isLoopback(host: string): boolean {
  return /^(localhost|(.*\.)?localhost|127(\.\d+){3}|\[?::1\]?)$/i.test(host);
}

/**
 * Refuses requests that name another host than this machine: a page of another site may have pointed its own domain at
 * 127.0.0.1 to get past the browser's same-origin rule (DNS rebinding).
 *
 * @throws {ApiError} 403
 */
export function checkHost(request: IncomingMessage): void {
  const { host = '' } = request.headers;
  if (isLoopback(host.replace(/:\d+$/, ''))) return;
  throw new ApiError(403, `request: Host is ${JSON.stringify(host)}, expected localhost`);
}

/**
 * Refuses requests without the key.
 *
 * @throws {ApiError} 401
 */
export function checkKey(request: IncomingMessage, key: string): void {
  const [, given = ''] = /^Bearer +(\S.*)$/i.exec(request.headers.authorization ?? '') ?? [];
  // Digests are of equal length, and comparing them takes the same time wherever they differ.
  if (timingSafeEqual(digest(given), digest(key))) return;
  const found = given === '' ? 'there is no API key' : 'the API key is wrong';
  throw new ApiError(401, `request: ${found}, expected Authorization: Bearer KEY`, {
    code: 'invalid_api_key',
    headers: { 'WWW-Authenticate': 'Bearer' },
  });
}

/**
 * Tells browsers which sites may read the answers. https://fetch.spec.whatwg.org/#http-cors-protocol
 *
 * @param origins - sites, or `*` for all
 */
export function allowOrigin(
  request: IncomingMessage,
  response: ServerResponse,
  origins: readonly string[],
): void {
  if (origins.length === 0) return;
  response.setHeader('Vary', 'Origin');
  const { origin } = request.headers;
  if (origin === undefined || !(origins.includes('*') || origins.includes(origin))) return;
  response.setHeader('Access-Control-Allow-Origin', origin);
  if (request.method !== 'OPTIONS') return;
  response.setHeader('Access-Control-Allow-Methods', 'GET, POST');
  // OpenAI's client sends headers of its own, whose names differ by version.
  const asked = request.headers['access-control-request-headers'];
  response.setHeader('Access-Control-Allow-Headers', asked ?? 'Authorization, Content-Type');
  response.setHeader('Access-Control-Max-Age', '600');
  if (request.headers['access-control-request-private-network'] === 'true') {
    response.setHeader('Access-Control-Allow-Private-Network', 'true');
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
