// Brings a checkout to where the broker or its tests can run: dependencies, the addon, the compiled
// TypeScript. Each part is skipped when nothing it depends on has changed; a check costs
// milliseconds. Nothing here may import from node_modules: it may not exist yet.
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildPage, pageFile, pageInputs } from './build-ui.mjs';
import { buildNative } from './native-build.mjs';
import { root } from './native-sources.mjs';
import { PlainError, run, runLogged } from './run.mjs';

const lockFolder = join(root, 'build', '.lock');
export const addonFile = join(root, 'build', 'Release', 'st_mqttd.node');
const mainFile = join(root, 'dist', 'index.js');
const pageFolder = join(root, 'dist', 'ui');

export function say(text) {
  console.error(`st-mqttd: ${text}`);
}

export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new PlainError(
      `st-mqttd needs Node 20.19 or later; this is ${process.versions.node}. Install one from https://nodejs.org/`,
    );
  }
}

// ---- dependencies ------------------------------------------------------------------------------

/** Names the first locked package that is not installed in its locked version, or undefined. */
export function missingDependency() {
  let installed;
  try {
    installed = JSON.parse(readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8'));
  } catch {
    return 'node_modules';
  }
  const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  for (const [path, wanted] of Object.entries(locked.packages)) {
    if (path === '') continue;
    const found = installed.packages[path];
    if (found === undefined) {
      // Packages for other platforms are locked, but never installed.
      if (!wanted.optional && !wanted.devOptional && !wanted.peer) return path;
    } else if (found.version !== wanted.version) {
      return path;
    }
  }
  return undefined;
}

async function installDependencies() {
  if (missingDependency() === undefined) return;
  await locked(async () => {
    if (missingDependency() !== undefined) await installLocked();
  });
}

async function installLocked() {
  const installed = join(root, 'node_modules');
  if (lstatSync(installed, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new PlainError(
      `${installed} is a link, and npm ci would empty the folder that it leads to. Run npm ci there, or delete the link.`,
    );
  }
  say('installing dependencies (npm ci)');
  const npm = process.env.npm_execpath;
  const [command, first] =
    npm !== undefined && /\.c?js$/.test(npm) ? [process.execPath, [npm]] : ['npm', []];
  const code = await run(
    command,
    [...first, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'],
    { cwd: root, shell: process.platform === 'win32' && command === 'npm' },
  );
  if (code !== 0) {
    throw new PlainError(
      'Installing the dependencies failed (see npm above). Is the npm registry reachable? (npm config get registry)',
    );
  }
}

// ---- staleness ---------------------------------------------------------------------------------

function addFile(hash, file) {
  const { mtimeMs, size } = statSync(file);
  hash.update(`${relative(root, file)}:${mtimeMs}:${size}\n`);
}

function addFolder(hash, folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) addFolder(hash, path);
    else addFile(hash, path);
  }
}

/** What these inputs are now: changes with any file's name, time or size, and with Node's ABI. */
function fingerprint(inputs) {
  const hash = createHash('sha256');
  hash.update(`${process.version} ${process.platform} ${process.arch} ${process.env.CXX ?? ''}\n`);
  for (const input of inputs) {
    const path = join(root, input);
    if (!existsSync(path)) continue;
    if (statSync(path).isDirectory()) addFolder(hash, path);
    else addFile(hash, path);
  }
  return hash.digest('hex');
}

function stampFile(name) {
  return join(root, 'build', `.${name}.stamp`);
}

export function isFresh(name, inputs, product) {
  if (!existsSync(product)) return false;
  try {
    return readFileSync(stampFile(name), 'utf8') === fingerprint(inputs);
  } catch {
    return false;
  }
}

/** The stamp is taken before the work: what changes meanwhile makes the product stale again. */
export async function stamped(name, inputs, work) {
  const stamp = fingerprint(inputs);
  rmSync(stampFile(name), { force: true });
  await work();
  writeFileSync(stampFile(name), stamp);
}

// ---- one builder at a time -----------------------------------------------------------------------

function lockHolder() {
  try {
    const pid = Number(readFileSync(join(lockFolder, 'pid'), 'utf8'));
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    // EPERM: it lives, but is another user's. Anything else: the holder is gone, or not there yet.
    return error.code === 'EPERM' ? 'another user' : undefined;
  }
}

/** `npm start` and `npm test` may run side by side; two makes in one folder may not. */
async function locked(work) {
  mkdirSync(join(root, 'build'), { recursive: true });
  let said = false;
  let orphaned = 0;
  for (;;) {
    try {
      mkdirSync(lockFolder);
      writeFileSync(join(lockFolder, 'pid'), String(process.pid));
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = lockHolder();
    // A builder writes its pid right after it made the folder: give it a moment to do so.
    orphaned = holder === undefined ? orphaned + 1 : 0;
    if (orphaned > 5) {
      rmSync(lockFolder, { recursive: true, force: true });
    } else {
      if (holder !== undefined && !said) {
        say(`waiting for another build (process ${holder})`);
        said = true;
      }
      await sleep(100);
    }
  }
  try {
    return await work();
  } finally {
    rmSync(lockFolder, { recursive: true, force: true });
  }
}

// ---- the parts ---------------------------------------------------------------------------------

export const nativeInputs = [
  'native',
  'binding.gyp',
  'include',
  'package.json',
  'scripts/native-build.mjs',
  'scripts/native-sources.mjs',
];
const typeScriptInputs = ['src', 'tsconfig.json', 'tsconfig.base.json', 'package-lock.json'];

async function buildAddon() {
  await stamped('addon', nativeInputs, async () => {
    say(
      existsSync(addonFile)
        ? 'compiling what changed in the addon'
        : 'compiling the addon (the first time takes a minute or two)',
    );
    await buildNative(['st_mqttd']);
  });
}

/** A compiled file whose source is gone would still load, and hide the mistake. */
function pruneCompiled(folder = join(root, 'dist')) {
  // The page's files have no source of the same name: they are vite's.
  if (!existsSync(folder) || folder === pageFolder) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      pruneCompiled(path);
      continue;
    }
    const match = /^(.*)(\.js|\.d\.ts|\.js\.map)$/.exec(relative(join(root, 'dist'), path));
    if (match !== null && !existsSync(join(root, 'src', `${match[1]}.ts`))) rmSync(path);
  }
}

async function buildTypeScript() {
  await stamped('typescript', typeScriptInputs, async () => {
    say('compiling the TypeScript');
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    // The build information must not outlive its products: tsc would think them up to date.
    if (!existsSync(mainFile)) rmSync(join(root, 'build', 'tsconfig.tsbuildinfo'), { force: true });
    await runLogged(process.execPath, [tsc, '-p', 'tsconfig.json', '--pretty', 'false'], {
      cwd: root,
      log: join(root, 'build', 'tsc.log'),
      doing: 'Compiling the TypeScript',
    });
    pruneCompiled();
  });
}

/**
 * The console's live page takes a second. Without vite there is none, and the broker says so at
 * /ui/: nothing else depends on it, so a plain start must not fail for it.
 */
async function buildLivePage() {
  try {
    await stamped('page', pageInputs, buildPage);
  } catch (error) {
    say(`the live page was not built (npm run build:ui tells more): ${error.message}`);
  }
}

/** Installs and builds what is missing or stale; without anything to do it only looks. */
export async function setUp({ addon = true, typeScript = true, page = typeScript } = {}) {
  checkNode();
  await installDependencies();
  const needsAddon = () => addon && !isFresh('addon', nativeInputs, addonFile);
  const needsTypeScript = () => typeScript && !isFresh('typescript', typeScriptInputs, mainFile);
  const needsPage = () => page && !isFresh('page', pageInputs, pageFile);
  if (!needsAddon() && !needsTypeScript() && !needsPage()) return;
  await locked(async () => {
    if (needsAddon()) await buildAddon();
    if (needsTypeScript()) await buildTypeScript();
    if (needsPage()) await buildLivePage();
  });
}

/** Builds the C++ unit tests; returns the program's path. */
export async function buildUnitTests() {
  const program = join(root, 'build', 'Release', 'unit_tests');
  const inputs = [...nativeInputs, 'test/native'];
  if (isFresh('unit-tests', inputs, program)) return program;
  await locked(async () => {
    if (isFresh('unit-tests', inputs, program)) return;
    await stamped('unit-tests', inputs, async () => {
      say('compiling the C++ unit tests');
      await buildNative(['unit_tests']);
    });
  });
  return program;
}
