import type * as Forms from '../../src/weights/forms.ts';

/**
 * The module `weights/forms.ts` without its rule on small matrices, to mock it with: models for tests are so small that
 * none of their matrices would have 4 bits.
 */
export function inAnySize(forms: typeof Forms): typeof Forms {
  return {
    ...forms,
    formOf: (choice, role, stored, { cols }) =>
      forms.formOf(choice, role, stored, { rows: Infinity, cols }),
  };
}
