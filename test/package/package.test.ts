// The package as users get it: packed, installed where nothing can be compiled, and run.
// `npm test` packs this machine's build; `npm run test:package` (ST_MQTTD_PACKAGE_TEST=release) packs
// the release's prebuilds and tests every target, and the build from source.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  addonVersion,
  foundCompilers,
  hasCompilers,
  install,
  mustRun,
  newMachine,
  pack,
  publishAndReceive,
  removeFolders,
  root,
  runIn,
  startBroker,
} from './packed.js';
import { tlsUnderEveryNode } from './tls-nodes.js';

const release = process.env.ST_MQTTD_PACKAGE_TEST === 'release';
const version = (
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
).version;
const compilers = await hasCompilers();
const minutes = 60_000;

let tarball: string;
let bare: NodeJS.ProcessEnv;
let installed: string;

beforeAll(async () => {
  tarball = await pack(release ? 'release' : 'host');
  bare = await newMachine();
  installed = await install(tarball, bare, '--ignore-scripts');
}, 40 * minutes);

afterAll(removeFolders, 5 * minutes);

function prebuild(target: string): string {
  return join(installed, 'node_modules/st-mqttd/prebuilds', target, 'st-mqttd.glibc.node');
}

describe('the tarball', () => {
  test('carries what runs and what compiles, and nothing else', async () => {
    const listing = (await mustRun(root, process.env, 'tar', '-tzf', tarball)).trim().split('\n');
    const files = listing.map((path) => path.replace(/^package\//, ''));
    expect(files).toEqual(
      expect.arrayContaining([
        'package.json',
        'LICENSE',
        'dist/index.js',
        'dist/index.d.ts',
        'index.d.cts',
        'dist/cli/main.js',
        'dist/ui/index.html',
        'dist/ui/LICENSES.txt',
        'binding.gyp',
        'deploy/systemd/st-mqttd.service',
        'include/node/common.gypi',
        'native/addon/addon.cpp',
        'native/base/message.hpp',
        'scripts/install.mjs',
        `prebuilds/${process.platform}-${process.arch}/st-mqttd.glibc.node`,
      ]),
    );
    const strange = files.filter(
      (path) =>
        !/^(package\.json|LICENSE|README\.md|CHANGELOG\.md|binding\.gyp|index\.d\.cts)$/.test(
          path,
        ) && !/^(dist|native|include|scripts|prebuilds|deploy)\//.test(path),
    );
    expect(strange).toEqual([]);
    expect(files.filter((path) => /^dist\/.*\.(map|tsbuildinfo|test\.js)$/.test(path))).toEqual([]);
    if (release) expect(files).toContain('prebuilds/linux-arm64/st-mqttd.glibc.node');
  });
});

describe('on a machine without a compiler, with an empty HOME, install scripts off', () => {
  test('there really is no compiler', async () => {
    expect(await foundCompilers(bare)).toEqual([]);
  });

  test('the addon loads', async () => {
    expect((await addonVersion(installed, bare)).trim()).toBe(version);
  });

  test('npx st-mqttd serves a publisher and a subscriber', { timeout: 2 * minutes }, async () => {
    const broker = await startBroker(installed, bare, 'npx', 'st-mqttd');
    try {
      expect(await publishAndReceive(broker.port)).toBe('hall/4/temperature 21.5');
    } finally {
      await broker.stop();
    }
  });

  test('it can be embedded: the import and its types are there', async () => {
    const script = "import { Broker } from 'st-mqttd'; console.log(typeof Broker);";
    const output = await mustRun(installed, bare, 'node', '--input-type=module', '-e', script);
    expect(output.trim()).toBe('function');
    const required = "console.log(typeof require('st-mqttd').Broker);";
    expect((await mustRun(installed, bare, 'node', '-e', required)).trim()).toBe('function');
    expect(existsSync(join(installed, 'node_modules/st-mqttd/dist/index.d.ts'))).toBe(true);
  });
});

describe('the install script', () => {
  test('has nothing to do where a prebuild fits', { timeout: 5 * minutes }, async () => {
    const folder = await install(tarball, bare);
    expect(existsSync(join(folder, 'node_modules/st-mqttd/build'))).toBe(false);
    expect((await addonVersion(folder, bare)).trim()).toBe(version);
  });

  test('names the cure where nothing fits and nothing compiles', {
    timeout: 5 * minutes,
  }, async () => {
    const folder = await install(tarball, bare, '--ignore-scripts');
    const own = join(folder, 'node_modules/st-mqttd');
    rmSync(join(own, 'prebuilds'), { recursive: true });
    const { code, output } = await runIn(own, bare, 'node', 'scripts/install.mjs');
    expect(code).toBe(1);
    expect(output).toContain('No native build was found');
    expect(output).toContain('apt-get install g++');
    expect(output).toContain('npm rebuild st-mqttd');
    expect(output).not.toMatch(/^\s+at /m);
  });

  for (const bareNode of release ? [false, true] : []) {
    const title = bareNode ? 'by a Node without headers beside it' : 'by the Node that runs this';
    test.skipIf(!compilers)(
      `compiles from source without a download: ${title}`,
      { timeout: 15 * minutes },
      async () => {
        const machine = await newMachine({ bareNode, compilers: true });
        const folder = await install(tarball, machine, '--ignore-scripts');
        const own = join(folder, 'node_modules/st-mqttd');
        rmSync(join(own, 'prebuilds'), { recursive: true });
        await mustRun(folder, machine, 'npm', 'rebuild', 'st-mqttd');
        // Here node-gyp would have put Node's headers, had it fetched them.
        expect(existsSync(join(machine.HOME ?? '', '.cache/node-gyp'))).toBe(false);
        expect(existsSync(join(own, 'build/Release/st_mqttd.node'))).toBe(true);
        expect((await addonVersion(folder, machine)).trim()).toBe(version);
      },
    );
  }
});

describe('TLS with the OpenSSL that Node brings', () => {
  tlsUnderEveryNode(() => ({ folder: installed, env: bare }));
});

if (release) describe('the prebuilds of a release', releasedPrebuilds);

function releasedPrebuilds(): void {
  test.each(['linux-x64', 'linux-arm64'])('%s needs no glibc newer than 2.28', (target) => {
    const names = readFileSync(prebuild(target), 'latin1').matchAll(/GLIBC_2\.(\d+)/g);
    const minor = [...names].map(([, digits]) => Number(digits));
    expect(minor.length).toBeGreaterThan(0);
    expect(Math.max(...minor)).toBeLessThanOrEqual(28);
  });

  test.each(['linux-x64', 'linux-arm64'])('%s brings its own C++ library', (target) => {
    expect(readFileSync(prebuild(target), 'latin1')).not.toMatch(/libstdc\+\+\.so|libc\+\+\.so/);
  });

  const arm64 = JSON.parse(process.env.ST_MQTTD_ARM64_NODE ?? '[]') as string[];
  const missing = process.env.ST_MQTTD_ARM64_MISSING ?? '';
  const [program = '', ...before] = arm64;

  describe.skipIf(arm64.length === 0)(`linux-arm64${missing && ` (missing: ${missing})`}`, () => {
    test('the addon loads', { timeout: 2 * minutes }, async () => {
      expect((await addonVersion(installed, bare, arm64)).trim()).toBe(version);
    });

    test('the broker serves a publisher and a subscriber', { timeout: 5 * minutes }, async () => {
      const main = 'node_modules/st-mqttd/dist/cli/main.js';
      const broker = await startBroker(installed, bare, program, ...before, main);
      try {
        expect(await publishAndReceive(broker.port)).toBe('hall/4/temperature 21.5');
      } finally {
        await broker.stop();
      }
    });
  });
}
