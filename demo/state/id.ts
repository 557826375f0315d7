/** An id that no other tab makes. Not `crypto.randomUUID`: pages without HTTPS lack it, and they have something to say. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
