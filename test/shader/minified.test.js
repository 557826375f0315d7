import { expect, it, vi } from 'vitest';
import { openDevice } from '../../src/gpu/open_device.ts';
import { openGpu } from '../../src/node/gpu.ts';
import { CollectingRecorder, EVERY_OP } from '../support/every_op.ts';

// As the package has them.
vi.mock(import('../../src/gpu/shader.ts'), async (importOriginal) => {
  const original = await importOriginal();
  const { shaderMinifier } = await import('../../scripts/lib/minify_shaders.js');
  const { REPOSITORY } = await import('../../scripts/lib/import_typescript.js');
  const minify = shaderMinifier(REPOSITORY);
  return {
    ...original,
    specialize: (name, source, slots, library) =>
      original.specialize(
        name,
        minify(source),
        slots,
        Object.fromEntries(Object.entries(library).map(([path, text]) => [path, minify(text)])),
      ),
  };
});

it('every kernel and variant compiles in its short form', async () => {
  const device = await openDevice(await openGpu('null', { enable: ['allow_unsafe_apis'] }), {
    integerProducts: true,
  });
  const codes = [];
  const createShaderModule = device.gpu.createShaderModule.bind(device.gpu);
  device.gpu.createShaderModule = (descriptor) => {
    codes.push(descriptor.code);
    return createShaderModule(descriptor);
  };
  const recorder = new CollectingRecorder(device);
  for (const record of Object.values(EVERY_OP)) record(recorder);
  await recorder.finish();
  await device.settled();
  expect(codes.length).toBeGreaterThan(100);
  expect(codes.filter((code) => /\/\/(?!!)|\n\n|^ /m.test(code))).toEqual([]);
  device.dispose();
});
