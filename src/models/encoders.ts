import { bert } from './bert.ts';
import { deberta } from './deberta.ts';
import type { Families } from './kinds.ts';
import { modernbert } from './modernbert.ts';
import { t5Encoder } from './t5.ts';

/** What `Encoder.load` runs. */
export const ENCODERS: Families<'encoder'> = {
  kind: 'encoder',
  families: [bert, deberta, modernbert, t5Encoder],
};
