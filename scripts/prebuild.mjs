// `npm run prebuilds [-- TARGET…]`: the addon as the npm package carries it, for every Linux target,
// under prebuilds/. Release binaries come from zig, which compiles for an old glibc (2.28) on any
// machine; the distribution's g++ would tie them to this machine's.
import { copyFileSync, existsSync, mkdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { buildNative } from './native-build.mjs';
import { root } from './native-sources.mjs';
import { pythonWithZig } from './python-tool.mjs';
import { main, PlainError } from './run.mjs';
import { addonFile, isFresh, nativeInputs, say, setUp, stamped } from './setup.mjs';

const targets = {
  'linux-x64': { arch: 'x64', triple: 'x86_64-linux-gnu.2.28' },
  'linux-arm64': { arch: 'arm64', triple: 'aarch64-linux-gnu.2.28' },
};

/** Where a target's binary lies; node-gyp-build reads the libc from the name. */
export function prebuildFile(target) {
  const tag = target.startsWith('linux-') ? '.glibc' : '';
  return join(root, 'prebuilds', target, `st-mqttd${tag}.node`);
}

/** node-gyp always builds in ./build: a folder of links gives each target a build of its own. */
function stagingFolder(target) {
  const folder = join(root, 'build', 'prebuild', target);
  mkdirSync(folder, { recursive: true });
  for (const name of [
    'binding.gyp',
    'include',
    'native',
    'node_modules',
    'package.json',
    'scripts',
  ]) {
    const link = join(folder, name);
    rmSync(link, { force: true });
    symlinkSync(join(root, name), link);
  }
  return folder;
}

function place(file, target) {
  mkdirSync(join(root, 'prebuilds', target), { recursive: true });
  // Removed first: a running process may have the old one mapped.
  rmSync(prebuildFile(target), { force: true });
  copyFileSync(file, prebuildFile(target));
}

const inputs = [...nativeInputs, 'scripts/prebuild.mjs'];

async function buildWithZig(target, python) {
  const { arch, triple } = targets[target];
  await stamped(`prebuild-${target}`, inputs, async () => {
    say(`compiling the addon for ${target} with zig (the first time takes minutes)`);
    const folder = stagingFolder(target);
    const zig = `${python} -m ziglang`;
    await buildNative(['st_mqttd'], {
      folder,
      nodedir: root, // another machine's Node configuration has no place in a cross build
      args: [`--arch=${arch}`],
      env: {
        CC: `${zig} cc -target ${triple}`,
        CXX: `${zig} c++ -target ${triple}`,
        LINK: `${zig} c++ -target ${triple}`,
        AR: `${zig} ar`,
        LDFLAGS: '-s',
      },
    });
    place(join(folder, 'build', 'Release', 'st_mqttd.node'), target);
  });
}

/** This machine's own build as its prebuild: for tests, and where zig cannot be had. */
async function placeHostBuild(target) {
  await setUp({ typeScript: false });
  // Without a stamp, so that the next release build does not take it for its own.
  rmSync(join(root, 'build', `.prebuild-${target}.stamp`), { force: true });
  place(addonFile, target);
}

const host = `${process.platform}-${process.arch}`;

/** Only this machine's target, compiled by whatever this machine has. */
export async function prebuildHost() {
  if (host in targets && isFresh(`prebuild-${host}`, inputs, prebuildFile(host))) return;
  await placeHostBuild(host);
}

export async function prebuild(names = Object.keys(targets)) {
  const unknown = names.find((name) => !(name in targets));
  if (unknown !== undefined) {
    throw new PlainError(
      `npm run prebuilds: no target '${unknown}'; there are ${Object.keys(targets).join(', ')}`,
    );
  }
  await setUp({ addon: false, typeScript: false });
  const stale = names.filter((name) => !isFresh(`prebuild-${name}`, inputs, prebuildFile(name)));
  if (stale.length === 0) return;
  let python;
  try {
    python = await pythonWithZig();
  } catch (error) {
    if (!(error instanceof PlainError) || stale.some((name) => name !== host)) throw error;
    say(
      `warning: no zig, so ${host} is compiled by this machine's g++ and needs its glibc.\n${error.message}`,
    );
    await placeHostBuild(host);
    return;
  }
  for (const target of stale) await buildWithZig(target, python);
}

if (realpathSync(process.argv[1]) === import.meta.filename) {
  await main(async () => {
    const names = process.argv.slice(2);
    await prebuild(names.length === 0 ? undefined : names);
    for (const target of names.length === 0 ? Object.keys(targets) : names) {
      if (existsSync(prebuildFile(target))) console.log(prebuildFile(target));
    }
  });
}
