type Creator = Extract<keyof GPUDevice, `create${string}`>;

/** Every way to create something on a device besides command encoders, which are how work is submitted. */
export const CREATORS: readonly Exclude<Creator, 'createCommandEncoder'>[] = [
  'createBuffer',
  'createTexture',
  'createSampler',
  'createBindGroupLayout',
  'createPipelineLayout',
  'createBindGroup',
  'createShaderModule',
  'createComputePipeline',
  'createComputePipelineAsync',
  'createQuerySet',
];
