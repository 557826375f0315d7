/** Where the server has the folder of this number; page and server agree on it here. */
export function modelPath(index: number): string {
  return `/models/${index}/`;
}
