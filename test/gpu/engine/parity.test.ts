/** The models of the project, and any below QUERN_TEST_DATA, against the reference implementation. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Engine } from '../../../src/index.ts';
import { parity, type ParityOptions } from '../../../src/engine/inspect.ts';
import { ConfigReader } from '../../../src/models/config.ts';
import { kindOf } from '../../../src/models/kinds.ts';
import { openDirectory } from '../../../src/node/directory.ts';
import { ConfigError } from '../../../src/util/errors.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { tensorNames } from '../../support/safetensors_file.ts';
import { testDataFolders } from '../../support/test_data.ts';
import {
  CHAT_MODEL,
  CONFORMANCE,
  CONFORMANCE_MODELS,
  readModelJson,
} from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';

interface ReferencePrompt {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly input_ids: readonly number[];
  readonly greedy_ids: readonly number[];
  readonly greedy_text: string;
  readonly stopped_at_eos: boolean;
}

/** What a reference file holds beside outputs. */
const INPUTS = [
  'input_ids',
  'attention_mask',
  'token_type_ids',
  'decoder_input_ids',
  'prompt_ids',
  'greedy_ids',
];

/** Compares a folder, expecting agreement to 1e-4 in every tensor that the reference names, and in every greedy id. */
async function expectParity(folder: string, options: ParityOptions): Promise<void> {
  const report = await parity(folder, openDirectory(folder), options);
  expect(report.error).toBeUndefined();
  const { tolerance = 1e-4 } = options;
  const differing = Object.entries(report.tensors).filter(([, { rel }]) => !(rel <= tolerance));
  expect(differing).toEqual([]);
  expect(report.greedy?.actual).toEqual(report.greedy?.expected);
  const names = tensorNames(readFileSync(`${folder}/expected.safetensors`));
  expect(report.greedy !== null).toBe(names.includes('greedy_ids'));
  const outputs = names.filter((name) => !INPUTS.includes(name));
  expect(Object.keys(report.tensors).toSorted()).toEqual(outputs.toSorted());
  expect(report.ok).toBe(true);
}

const TYPES = CONFORMANCE_MODELS.map(
  (name) => readModelJson(`${CONFORMANCE}/${name}`, 'config.json')['model_type'],
);
/** The first model of each `model_type`, which runs everywhere; adapters do not tell the others apart. */
const NETWORKS = CONFORMANCE_MODELS.filter((_, i) => TYPES.indexOf(TYPES[i]) === i);
const CONFIGURATIONS = CONFORMANCE_MODELS.filter((name) => !NETWORKS.includes(name));

/** Each key and value is off by up to 2^-11 of itself. */
const IN_F16 = { kvDtype: 'f16', tolerance: 5e-3 } as const;

describeOnGpus('parity', (gpu) => {
  it.each(NETWORKS)('%s', async (name) => {
    await expectParity(`${CONFORMANCE}/${name}`, { gpu: gpu() });
  });

  it('llama with an f16 cache continues with the same ids', async () => {
    await expectParity(`${CONFORMANCE}/llama`, { gpu: gpu(), ...IN_F16 });
  });

  it('llama with an 8-bit cache continues with the same ids', async () => {
    // Each key and value is off by up to 1/254 of the largest of its head.
    const options = { gpu: gpu(), kvDtype: 'q8', tolerance: 2e-2 } as const;
    await expectParity(`${CONFORMANCE}/llama`, options);
  });

  it('the bundled model says what the reference says', async () => {
    const { prompts } = readModelJson(CHAT_MODEL, 'reference.json') as {
      prompts: readonly ReferencePrompt[];
    };
    const engine = await Engine.load(openDirectory(CHAT_MODEL), {
      gpu: gpu(),
      selfTest: 'never',
      kvDtype: 'f32',
    });
    try {
      // All at once: in a batch each must still say what the reference said alone.
      const replies = await Promise.all(
        prompts.map(({ messages }) =>
          engine.chat.completions.create({ messages, temperature: 0, max_tokens: 40 }),
        ),
      );
      for (const [i, { choices, usage }] of replies.entries()) {
        const want = prompts[i];
        expect(choices[0]?.message.content).toBe(want?.greedy_text);
        expect(choices[0]?.finish_reason).toBe(want?.stopped_at_eos ? 'stop' : 'length');
        expect(usage.prompt_tokens).toBe(want?.input_ids.length);
        expect(usage.completion_tokens).toBe(want?.greedy_ids.length);
      }
    } finally {
      await engine.dispose();
    }
  });
});

describeOnGpus(
  'parity',
  (gpu) => {
    it.each<[ParityOptions, RegExp]>([
      [{ tolerance: NaN }, /^request: tolerance is NaN, expected a number of 0 or more$/],
      [{ weights: 'q5' as never }, /^load: weights is "q5", expected one of: auto/],
      [{ kvDtype: 'x' as never }, /^load: kvDtype is "x", expected/],
    ])('says that it cannot use %o', async (options, message) => {
      const folder = `${CONFORMANCE}/llama`;
      const report = await parity(folder, openDirectory(folder), { gpu: gpu(), ...options });
      expect(report.ok).toBe(false);
      expect(report.error).toMatch(message);
    });

    it.each(CONFIGURATIONS)('%s', async (name) => {
      await expectParity(`${CONFORMANCE}/${name}`, { gpu: gpu() });
    });

    it.each(['mistral', 'llama-rope-dynamic'])(
      '%s with an f16 cache continues with the same ids',
      async (name) => {
        await expectParity(`${CONFORMANCE}/${name}`, { gpu: gpu(), ...IN_F16 });
      },
    );

    it(basename(CHAT_MODEL), async () => {
      await expectParity(CHAT_MODEL, { gpu: gpu() });
    });
  },
  ONE_ADAPTER,
);

describe('models of the test data', () => {
  const ours: readonly string[] = [...CONFORMANCE_MODELS, basename(CHAT_MODEL)];
  const folders = testDataFolders('expected.safetensors').filter(
    (folder) => isSupported(folder) && !ours.includes(basename(folder)),
  );
  if (folders.length === 0) {
    it('agree with the reference', (context) => {
      context.skip('set QUERN_TEST_DATA to a folder that holds model folders with outputs');
    });
    return;
  }
  describeOnGpus(
    'parity',
    (gpu) => {
      it.each(folders)('%s', async (folder) => {
        await expectParity(folder, { gpu: gpu() });
      });
    },
    ONE_ADAPTER,
  );
});

/** Whether the engine knows the kind of model; those of families to come are not looked at. */
function isSupported(folder: string): boolean {
  try {
    kindOf(new ConfigReader(readModelJson(folder, 'config.json')));
    return true;
  } catch (error) {
    if (error instanceof ConfigError && error.key === 'model_type') return false;
    throw error;
  }
}
