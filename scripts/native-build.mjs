// Builds native targets with node-gyp, without downloading anything: node-gyp is pointed at a
// common.gypi that is already on this machine, and Node-API's headers come from npm.
import { accessSync, existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { compileWithoutMake } from './make-less.mjs';
import { root } from './native-sources.mjs';
import { ask, PlainError, runLogged, which } from './run.mjs';

/** Where node-gyp finds include/node/common.gypi: the running Node's own, else our small one. */
export function nodeHeaders(execPath = process.execPath) {
  const beside = resolve(dirname(realpathSync(execPath)), '..');
  return existsSync(join(beside, 'include', 'node', 'common.gypi')) ? beside : root;
}

/** The environment that keeps node-gyp offline. It overrides a `nodedir` of the user's own. */
export function offlineEnvironment(nodedir = nodeHeaders()) {
  const environment = { ...process.env };
  // npm hands its settings down in either spelling; the last word must be ours.
  for (const name of Object.keys(environment)) {
    if (/^npm_(package_)?config_(node_gyp_)?(nodedir|disturl|dist_url|target)$/i.test(name)) {
      delete environment[name];
    }
  }
  environment.npm_config_nodedir = nodedir;
  // Our own folder has no config.gypi: the running Node's configuration is used instead.
  if (nodedir === root) environment.npm_config_force_process_config = 'true';
  return environment;
}

/** node-gyp: this project's own in a checkout, else the one npm runs install scripts with. */
export function findNodeGyp() {
  try {
    return createRequire(join(root, 'package.json')).resolve('node-gyp/bin/node-gyp.js');
  } catch {
    const npms = process.env.npm_config_node_gyp;
    if (npms !== undefined && existsSync(npms)) return npms;
    const beside = join(dirname(realpathSync(process.execPath)), '..', 'lib', 'node_modules');
    const bundled = join(beside, 'npm', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
    return existsSync(bundled) ? bundled : undefined;
  }
}

/** What a build from source lacks on this machine, each with its cure; empty if nothing. */
export function missingTools() {
  if (process.platform === 'win32') return []; // node-gyp's own search names what it lacks
  const missing = [];
  const compiler =
    process.env.CXX?.split(' ')[0] ?? (process.platform === 'darwin' ? 'c++' : 'g++');
  if (which(compiler) === undefined && !isExecutable(compiler)) {
    missing.push(`a C++20 compiler ('${compiler}'): on Debian or Ubuntu, apt-get install g++`);
  }
  if (which('python3') === undefined && which('python') === undefined) {
    missing.push('python3 (node-gyp runs it): on Debian or Ubuntu, apt-get install python3');
  }
  return missing;
}

function isExecutable(path) {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}

function checkCompiler() {
  if (process.platform !== 'linux' || process.env.CXX !== undefined) return;
  const version = Number.parseInt(ask('g++', ['-dumpversion']) ?? '', 10);
  if (version < 11) {
    throw new PlainError(
      `Building the addon needs g++ 11 or later (C++20); this one is ${version}. Install a newer one, or name it: CXX=g++-12 CC=gcc-12`,
    );
  }
}

/**
 * Builds targets of binding.gyp in `folder` (the project's root unless told). Each call configures
 * first, so that new source files are seen; make then compiles only what changed.
 */
export async function buildNative(
  targets,
  { folder = root, debug = false, nodedir = nodeHeaders(), env = {}, args = [] } = {},
) {
  const missing = missingTools();
  if (missing.length > 0) {
    throw new PlainError(
      `Cannot build the addon from source. Missing:\n  - ${missing.join('\n  - ')}`,
    );
  }
  checkCompiler();
  const nodeGyp = findNodeGyp();
  if (nodeGyp === undefined) {
    throw new PlainError(
      'Cannot build the addon from source: node-gyp is missing. Cure: npm install -g node-gyp, then npm rebuild st-mqttd',
    );
  }
  const environment = { ...offlineEnvironment(nodedir), ...env };
  const step = (name, ...rest) =>
    runLogged(process.execPath, [nodeGyp, name, ...rest], {
      cwd: folder,
      env: environment,
      log: join(folder, 'build', `${name}.log`),
      doing: `node-gyp ${name}`,
    });
  const options = [debug ? '--debug' : '--release', ...args];
  if (process.platform === 'linux' && which('make') === undefined) {
    await step('configure', ...options, '--', '-f', 'compile_commands_json');
    await compileWithoutMake(folder, targets, debug ? 'Debug' : 'Release', environment);
    return;
  }
  await step('configure', ...options);
  await step('build', ...targets, `--jobs=${availableParallelism()}`, ...options);
}
