import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Dawn refuses the lavapipe of Debian 12 (Mesa 22.3); this one has all that the tests need. */
const MESA = { name: 'mesa-vulkan-drivers', major: 25 };
const SOURCES = '/etc/apt';
const OPTIONS = ['-q', '-o', 'Acquire::Retries=2', '-o', 'DPkg::Lock::Timeout=120'];
/** Without the option an update that reaches no mirror counts as a success. */
const UPDATE = [...OPTIONS, '-o', 'APT::Update::Error-Mode=any', 'update'];

/** Whether this is Debian or Ubuntu and we are root. */
export function canInstall() {
  return (
    process.getuid?.() === 0 && existsSync('/usr/bin/apt-get') && existsSync('/etc/debian_version')
  );
}

/**
 * Installs packages with apt, those that this distribution does not have left out.
 *
 * @param {readonly string[]} names
 * @param {(line: string) => void} print
 */
export function install(names, print) {
  print(`set-up: installing ${names.join(', ')} with apt (a minute or two)`);
  run('apt-get', UPDATE, print);
  const plain = names.filter((name) => name !== MESA.name && isInstallable(name));
  if (plain.length > 0) aptInstall(plain, print);
  if (!names.includes(MESA.name)) return;

  let suite = suiteWithMesa();
  if (suite === undefined && addBackports(print)) {
    run('apt-get', UPDATE, print);
    suite = suiteWithMesa();
  }
  aptInstall(suite === undefined ? [MESA.name] : ['-t', suite, MESA.name], print);
}

/** @param {readonly string[]} args @param {(line: string) => void} print */
function aptInstall(args, print) {
  run('apt-get', [...OPTIONS, 'install', '-y', '--no-install-recommends', ...args], print);
}

/** Ubuntu's browser packages only fetch a snap, which needs a running snapd and cannot be driven headless. */
function isInstallable(/** @type {string} */ name) {
  const candidate = /Candidate: (.*)/.exec(output('apt-cache', ['policy', name]))?.[1];
  return candidate !== undefined && candidate !== '(none)' && !candidate.includes('snap');
}

/** The first suite, e.g. `bookworm-backports`, that has a Mesa of the needed version. */
function suiteWithMesa() {
  // mesa-vulkan-drivers | 25.0.7-2~bpo12+1 | MIRROR bookworm-backports/main amd64 Packages
  const lines = output('apt-cache', ['madison', MESA.name]).matchAll(
    /\| *(\d+)\.\S* *\| *\S+ ([^/\s]+)\//g,
  );
  for (const [, major, suite] of lines) if (Number(major) >= MESA.major) return suite;
  return undefined;
}

/** @param {(line: string) => void} print */
function addBackports(print) {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const codename = /^VERSION_CODENAME="?(\w+)/m.exec(release)?.[1];
  if (codename === undefined || !/^ID="?debian"?$/m.test(release)) return false;
  const mirror = findMirror(readSourceLists(), codename);
  if (mirror === undefined) {
    print(`set-up: no mirror for ${codename} in ${SOURCES}, so none to look for a newer Mesa on`);
    return false;
  }
  const lines = [
    'Types: deb',
    `URIs: ${mirror.url}`,
    `Suites: ${codename}-backports`,
    'Components: main',
  ];
  if (mirror.signedBy !== undefined) lines.push(`Signed-By: ${mirror.signedBy}`);
  writeFileSync(`${SOURCES}/sources.list.d/quern-backports.sources`, `${lines.join('\n')}\n`);
  return true;
}

/** @returns {{ name: string, text: string }[]} */
function readSourceLists() {
  const folder = `${SOURCES}/sources.list.d`;
  const listed = existsSync(folder) ? readdirSync(folder).map((name) => `${folder}/${name}`) : [];
  return [`${SOURCES}/sources.list`, ...listed]
    .filter((name) => /\.(list|sources)$/.test(name) && existsSync(name))
    .map((name) => ({ name, text: readFileSync(name, 'utf8') }));
}

/**
 * The mirror that a machine takes its distribution from, in either format of apt's source lists.
 *
 * @param {readonly { name: string, text: string }[]} files
 * @param {string} codename - of the distribution, e.g. `bookworm`
 * @returns {{ url: string, signedBy: string | undefined } | undefined}
 */
export function findMirror(files, codename) {
  for (const { name, text } of files) {
    const plain = text.replace(/^#.*\n/gm, '');
    const mirror = name.endsWith('.sources')
      ? fromStanzas(plain, codename)
      : fromLines(plain, codename);
    if (mirror !== undefined) return mirror;
  }
  return undefined;
}

/** @param {string} text @param {string} codename */
function fromStanzas(text, codename) {
  for (const stanza of text.split(/\n\s*\n/)) {
    /** @param {string} key */
    const field = (key) => new RegExp(`^${key}: *(.*)$`, 'im').exec(stanza)?.[1]?.trim();
    const url = field('URIs')?.split(/\s+/)[0];
    if (url !== undefined && field('Suites')?.split(/\s+/).includes(codename)) {
      return { url, signedBy: field('Signed-By') };
    }
  }
  return undefined;
}

/** @param {string} text @param {string} codename */
function fromLines(text, codename) {
  for (const [, options, url, suite] of text.matchAll(/^deb +(?:\[([^\]]*)\] +)?(\S+) +(\S+) /gm)) {
    if (url !== undefined && suite === codename) {
      return { url, signedBy: /signed-by=(\S+)/.exec(options ?? '')?.[1] };
    }
  }
  return undefined;
}

/** @param {string} command @param {readonly string[]} args */
function output(command, args) {
  return spawnSync(command, args, { encoding: 'utf8' }).stdout ?? '';
}

/** @param {string} command @param {readonly string[]} args @param {(line: string) => void} print */
function run(command, args, print) {
  const { status, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    maxBuffer: 64 * 2 ** 20,
  });
  if (status === 0) return;
  const reason = error?.message ?? stderr.trim().split('\n').slice(-3).join(' / ');
  const what = `${command} ${args.at(-1)}`;
  print(`set-up: ${what} failed (is there a network?), going on with what is there: ${reason}`);
}
