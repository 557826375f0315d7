/** Lets the browser save a text, or what is a blob already, as a file. */
export function saveFile(name: string, content: string | Blob, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
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
export async function pickText(accept: string): Promise<string | undefined> {
  const [file] = await pickFiles(accept, false);
  return file?.text();
}

/** Lets the user pick files; none if he gives up. */
export function pickFiles(accept: string, isMultiple: boolean): Promise<readonly File[]> {
  const input = document.createElement('input');
  input.type = 'file';
  input.accept = accept;
  input.multiple = isMultiple;
  // Safari tells only of what is in the page.
  input.hidden = true;
  document.body.append(input);
  return new Promise((resolve) => {
    const finish = (files: readonly File[]): void => {
      input.remove();
      resolve(files);
    };
    input.addEventListener('change', () => finish([...(input.files ?? [])]));
    input.addEventListener('cancel', () => finish([]));
    input.click();
  });
}
