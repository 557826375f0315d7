import { Engine } from 'quern';

/** Loads a model and frees it again; returns the GPU bytes of its weights. */
export async function load(url: string): Promise<number> {
  const engine = await Engine.load(url);
  const { memory } = await engine.stats();
  await engine.dispose();
  return memory.weights;
}
