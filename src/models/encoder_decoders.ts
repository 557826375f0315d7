import { bart } from './bart.ts';
import type { Families } from './kinds.ts';
import { t5 } from './t5.ts';

/** What `Seq2Seq.load` runs. */
export const ENCODER_DECODERS: Families<'seq2seq'> = { kind: 'seq2seq', families: [t5, bart] };
