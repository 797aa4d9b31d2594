// What deploy/ says, held against the repository: there is no container engine where tests run.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';

const root = resolve(import.meta.dirname, '../../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Instruction {
  readonly word: string;
  readonly rest: string;
}

function instructions(text: string): Instruction[] {
  return text
    .replace(/^#.*\n/gm, '')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, word = '', rest = ''] = /^\s*([A-Z]+)\s+(.*)$/.exec(line) ?? [];
      return { word, rest };
    });
}

const dockerfile = instructions(read('deploy/docker/Dockerfile'));
const of = (word: string) =>
  dockerfile.filter((each) => each.word === word).map(({ rest }) => rest);
const image = parse(read('deploy/docker/st-mqttd.toml')) as Record<
  string,
  Record<string, { listen?: string }>
>;
const imagePorts = ['v4', 'v5', 'ws'].flatMap((kind) =>
  Object.values(image[kind] ?? {}).map(({ listen }) => listen),
);

describe('the Dockerfile', () => {
  test('has only known instructions, two stages, and is not root', () => {
    const known = 'ARG FROM RUN WORKDIR COPY ENV USER EXPOSE HEALTHCHECK STOPSIGNAL ENTRYPOINT';
    const others = dockerfile.filter(({ word }) => !known.split(' ').includes(word));
    expect(others).toEqual([]);
    expect(of('FROM')).toHaveLength(2);
    const last = dockerfile.findLastIndex(({ word }) => word === 'FROM');
    const user = dockerfile.findIndex(({ word, rest }) => word === 'USER' && rest === 'node');
    expect(user).toBeGreaterThan(last);
    expect(of('STOPSIGNAL')).toEqual(['SIGTERM']);
  });

  test('copies what exists and what .dockerignore lets through', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = of('COPY')
      .filter((rest) => !rest.startsWith('--from'))
      .flatMap((rest) => rest.split(/\s+/).slice(0, -1));
    expect(sources.length).toBeGreaterThan(8);
    for (const source of sources) {
      expect(existsSync(join(root, source)), source).toBe(true);
      expect(allowed, source).toContain(source.split('/')[0]);
    }
  });

  test('takes from the build only what that stage makes or copies', () => {
    const build = dockerfile.slice(
      0,
      dockerfile.findLastIndex(({ word }) => word === 'FROM'),
    );
    const made = ['node_modules', 'dist', 'build/Release/st_mqttd.node'];
    const copied = build
      .filter(({ word }) => word === 'COPY')
      .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1));
    for (const rest of of('COPY').filter((each) => each.startsWith('--from=build'))) {
      const source = rest.split(/\s+/)[1]?.replace('/src/', '') ?? '';
      expect([...made, ...copied]).toContain(source);
    }
  });

  test('runs scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = of('RUN').flatMap((rest) => [...rest.matchAll(/npm run ([\w:-]+)/g)]);
    expect(named.map(([, script = '']) => script)).toEqual(['build']);
    expect(scripts.build).toBeDefined();
    // npm would run it before: the release's prebuilds once made each build take minutes.
    expect(scripts.prebuild).toBeUndefined();
  });

  test('its start and its health check name files of the image', () => {
    const files = [...of('ENTRYPOINT'), ...of('HEALTHCHECK')].flatMap((rest) =>
      [...rest.matchAll(/"\/opt\/st-mqttd\/([^"]+)"/g)].map(([, file = '']) => file),
    );
    expect(files.sort()).toEqual(['dist/cli/main.js', 'healthcheck.mjs']);
    expect(existsSync(join(root, 'src/cli/main.ts'))).toBe(true);
    expect(existsSync(join(root, 'deploy/docker/healthcheck.mjs'))).toBe(true);
  });
});

test('image, Dockerfile and compose.yaml have the same ports', () => {
  expect(imagePorts).toEqual(['0.0.0.0:1883', '0.0.0.0:1884', '0.0.0.0:8083']);
  expect(of('EXPOSE')).toEqual(['1883 1884 8083']);
  const compose = parseYaml(read('deploy/docker/compose.yaml')) as {
    services: { mqtt: { ports: string[]; build: { context: string; dockerfile: string } } };
  };
  const { ports, build } = compose.services.mqtt;
  expect(ports).toEqual(['1883:1883', '1884:1884', '8083:8083']);
  const context = resolve(root, 'deploy/docker', build.context);
  expect(context).toBe(root);
  expect(existsSync(join(context, build.dockerfile))).toBe(true);
});

test('the package carries deploy/', () => {
  const { files } = JSON.parse(read('package.json')) as { files: string[] };
  expect(files).toContain('deploy');
});

describe('the systemd unit', () => {
  const unit = read('deploy/systemd/st-mqttd.service');
  const has = spawnSync('systemd-analyze', ['--version']).status === 0;

  test.skipIf(!has)('systemd-analyze verify has nothing to say', () => {
    const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-unit-'));
    try {
      const file = join(folder, 'st-mqttd.service');
      // The program itself is not installed here.
      writeFileSync(file, unit.replace('ExecStart=st-mqttd', 'ExecStart=/bin/true'));
      const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', file], {
        encoding: 'utf8',
      });
      expect(stdout + stderr).toBe('');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('is told when the broker is ready, lives and reloads', () => {
    expect(unit).toMatch(/^Type=notify$/m);
    expect(unit).toMatch(/^WatchdogSec=\d+$/m);
    expect(unit).toMatch(/^ExecReload=.*-HUP \$MAINPID$/m);
  });
});
