/** Lets the browser save a text as a file. */
export function saveFile(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // Some browsers read it only after the click has been handled.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A title as the name of a file. */
export function fileName(title: string, extension: string): string {
  const name = title
    .replaceAll(/[^\p{L}\p{N}]+/gu, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 60);
  return `${name || 'chat'}.${extension}`;
}

/**
 * Lets the user pick a file.
 *
 * @param accept - as the attribute of that name
 * @returns its text; undefined if he picks none
 */
export function pickText(accept: string): Promise<string | undefined> {
  const input = document.createElement('input');
  input.type = 'file';
  input.accept = accept;
  // Safari tells only of what is in the page.
  input.hidden = true;
  document.body.append(input);
  return new Promise((resolve) => {
    const finish = (text: Promise<string> | undefined): void => {
      input.remove();
      resolve(text);
    };
    input.addEventListener('change', () => finish(input.files?.[0]?.text()));
    input.addEventListener('cancel', () => finish(undefined));
    input.click();
  });
}
