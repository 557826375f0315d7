import type { Families } from './kinds.ts';
import { llama } from './llama.ts';

/** What `Engine.load` runs. */
export const DECODERS: Families<'decoder'> = { kind: 'decoder', families: [llama] };
