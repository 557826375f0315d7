/** Vulkan drivers of software adapters, and how to leave a process only one. @module */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Where its description file is, and what that is called. */
interface Driver {
  readonly folders: readonly string[];
  readonly file: RegExp;
}

const DRIVERS: Readonly<Record<'lavapipe' | 'swiftshader', Driver>> = {
  lavapipe: {
    folders: ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d'],
    file: /^lvp_icd.*\.json$/,
  },
  swiftshader: {
    folders: [
      '/usr/lib/chromium',
      '/usr/lib64/chromium-browser',
      '/usr/lib/chromium-browser',
      '/opt/google/chrome',
    ],
    file: /^vk_swiftshader_icd\.json$/,
  },
};

/**
 * Leaves the Vulkan loader of this process one driver; to be called before anything uses Vulkan.
 *
 * @returns the driver's file
 * @throws if it is not installed
 */
export function onlyDriver(adapter: 'lavapipe' | 'swiftshader'): string {
  const { folders, file } = DRIVERS[adapter];
  const found = folders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => ({ name, path: join(folder, name) })))
    .find(({ name }) => file.test(name));
  if (found === undefined) {
    throw new Error(`peers: no Vulkan driver for ${adapter} in ${folders.join(', ')}`);
  }
  process.env['VK_ICD_FILENAMES'] = found.path;
  delete process.env['VK_DRIVER_FILES'];
  return found.path;
}
