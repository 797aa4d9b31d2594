// Holds the repository to the rules of its layout (docs/ARCHITECTURE.md), and shows for each rule
// that it catches what it forbids.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { longFiles } from './long_files.js';
import {
  checkLength,
  checkNative,
  checkTypeScript,
  longestFileLines,
  type SourceText,
  type Violation,
} from './rules.js';

const root = resolve(import.meta.dirname, '../..');

function read(folder: string, endings: readonly string[]): SourceText[] {
  const start = join(root, folder);
  if (!existsSync(start)) return [];
  return readdirSync(start, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({
      path: relative(root, path).replaceAll('\\', '/'),
      text: readFileSync(path, 'utf8'),
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

function listed(violations: readonly Violation[]): string[] {
  return violations.map(({ rule, path, line, text }) => `${path}:${line}: ${rule}: ${text}`);
}

const cpp = ['.cpp', '.hpp', '.h'];
const nativeFiles = ['native', 'test/native', 'test/fuzz', 'bench/native'].flatMap((folder) =>
  read(folder, cpp),
);
const typeScriptFiles = read('src', ['.ts']);

describe('the repository', () => {
  test('has the files that the rules are about', () => {
    expect(nativeFiles.filter(({ path }) => path.startsWith('native/')).length).toBeGreaterThan(3);
  });

  test('C++ includes follow the order of the folders', () => {
    expect(listed(checkNative(nativeFiles))).toEqual([]);
  });

  test('TypeScript imports follow the layout', () => {
    expect(listed(checkTypeScript(typeScriptFiles))).toEqual([]);
  });

  test(`no file is longer than ${longestFileLines} lines without a reason`, () => {
    const own = [
      ...nativeFiles,
      ...typeScriptFiles,
      ...['test', 'bench', 'scripts'].flatMap((folder) => read(folder, ['.ts', '.mjs', '.py'])),
    ];
    expect(listed(checkLength(own, longFiles))).toEqual([]);
  });
});

/** The rules that one file breaks, among files that others may include. */
function nativeRules(path: string, text: string): string[] {
  const others = [
    'native/base/a.hpp',
    'native/contract/a.hpp',
    'native/wire/a.hpp',
    'native/stream/a.hpp',
    'native/route/a.hpp',
    'native/session/a.hpp',
    'native/io/a.hpp',
    'native/store/a.hpp',
    'native/engine/a.hpp',
    'native/addon/a.hpp',
  ].map((other) => ({ path: other, text: '' }));
  return checkNative([...others, { path, text }]).map(({ rule }) => rule);
}

describe('C++ rules', () => {
  const order = ['base', 'contract', 'wire', 'route', 'session', 'io', 'engine', 'addon'];
  for (const [index, folder] of order.entries()) {
    for (const [otherIndex, other] of order.entries()) {
      const allowed = otherIndex <= index;
      test(`${folder}/ may ${allowed ? '' : 'not '}include ${other}/`, () => {
        const rules = nativeRules(`native/${folder}/x.cpp`, `#include "${other}/a.hpp"\n`);
        expect(rules).toEqual(allowed ? [] : ['native-order']);
      });
    }
  }

  test.each([
    ['stream', 'route'],
    ['route', 'stream'],
    ['io', 'store'],
    ['store', 'io'],
  ])('%s/ may not include its neighbour %s/', (folder, other) => {
    expect(nativeRules(`native/${folder}/x.hpp`, `#include "${other}/a.hpp"\n`)).toEqual([
      'native-order',
    ]);
  });

  test.each(['napi.h', 'node_api.h', 'js_native_api.h', 'uv.h', 'node.h', 'v8.h'])(
    'only addon/ includes <%s>',
    (header) => {
      const text = `#include <${header}>\n`;
      expect(nativeRules('native/addon/x.cpp', text)).toEqual([]);
      expect(nativeRules('native/engine/x.cpp', text)).toEqual(['only-addon-includes-napi']);
      expect(nativeRules('test/native/x.cpp', text)).toEqual(['only-addon-includes-napi']);
    },
  );

  test.each([
    'sys/socket.h',
    'sys/epoll.h',
    'sys/eventfd.h',
    'sys/un.h',
    'poll.h',
    'netinet/tcp.h',
    'arpa/inet.h',
    'netdb.h',
    'openssl/ssl.h',
  ])('only io/ includes <%s>', (header) => {
    const text = `#include <${header}>\n`;
    expect(nativeRules('native/io/x.cpp', text)).toEqual([]);
    expect(nativeRules('native/engine/x.cpp', text)).toEqual(['only-io-includes-sockets']);
    expect(nativeRules('native/addon/x.cpp', text)).toEqual(['only-io-includes-sockets']);
    expect(nativeRules('native/base/x.hpp', text)).toEqual(['only-io-includes-sockets']);
  });

  test.each([
    'unistd.h',
    'fcntl.h',
    'sys/stat.h',
    'pthread.h',
    'thread',
    'condition_variable',
    'fstream',
    'iostream',
    'cstdio',
    'filesystem',
    'csignal',
  ])('wire, stream, route and session include no <%s>', (header) => {
    const text = `#include <${header}>\n`;
    for (const folder of ['wire', 'stream', 'route', 'session']) {
      expect(nativeRules(`native/${folder}/x.cpp`, text)).toEqual(['pure-no-system-header']);
    }
    expect(nativeRules('native/engine/x.cpp', text)).toEqual([]);
  });

  test.each(['atomic', 'mutex', 'shared_mutex', 'chrono', 'string_view', 'cstdint'])(
    'route/ may include <%s>',
    (header) => {
      expect(nativeRules('native/route/x.cpp', `#include <${header}>\n`)).toEqual([]);
    },
  );

  test.each(['auto t = std::chrono::steady_clock::now();', 'std::random_device device;'])(
    'wire, stream, route and session do not call: %s',
    (call) => {
      expect(nativeRules('native/session/x.cpp', `${call}\n`)).toEqual(['pure-no-system-call']);
      expect(nativeRules('native/session/x.cpp', `// ${call}\n`)).toEqual([]);
      expect(nativeRules('native/engine/x.cpp', `${call}\n`)).toEqual([]);
    },
  );

  test('include paths are relative to native/, and exist', () => {
    expect(nativeRules('native/wire/x.cpp', '#include "scan.hpp"\n')).toEqual([
      'include-path-relative-to-native',
    ]);
    expect(nativeRules('native/wire/x.cpp', '#include "../base/a.hpp"\n')).toEqual([
      'include-path-relative-to-native',
    ]);
    expect(nativeRules('native/wire/x.cpp', '#include "base/none.hpp"\n')).toEqual([
      'include-exists',
    ]);
  });

  test('a file stands in a known folder', () => {
    expect(nativeRules('native/misc/x.cpp', '')).toEqual(['native-folder']);
  });

  test('native tests may include everything but addon/', () => {
    expect(nativeRules('test/native/x.cpp', '#include "engine/a.hpp"\n')).toEqual([]);
    expect(nativeRules('test/native/x.cpp', '#include "runner.hpp"\n')).toEqual([]);
    expect(nativeRules('test/native/x.cpp', '#include "addon/a.hpp"\n')).toEqual([
      'tests-build-without-node',
    ]);
  });

  test('an include in a comment does not count; an indented one does', () => {
    expect(nativeRules('native/wire/x.cpp', '/*\n#include <napi.h>\n*/\n')).toEqual([]);
    expect(nativeRules('native/wire/x.cpp', '  #  include <napi.h>\n')).toEqual([
      'only-addon-includes-napi',
    ]);
  });
});

function typeScriptRules(files: Readonly<Record<string, string>>): string[] {
  const sources = Object.entries(files).map(([path, text]) => ({ path, text }));
  return checkTypeScript(sources).map(({ rule, path }) => `${path}: ${rule}`);
}

describe('TypeScript rules', () => {
  test.each([
    "import load from 'node-gyp-build';",
    "const addon = require('../../build/Release/st_mqttd.node');",
    "const load = await import('node-gyp-build');",
    'const require = createRequire(import.meta.url);',
    'process.dlopen(module, path);',
  ])('only src/native/ loads the addon: %s', (text) => {
    const own = typeScriptRules({ 'src/native/load.ts': text });
    expect(own.filter((rule) => rule.includes('loads-the-addon'))).toEqual([]);
    expect(typeScriptRules({ 'src/auth/a.ts': text })).toContain(
      'src/auth/a.ts: only-native-loads-the-addon',
    );
  });

  const service = 'export class Sessions { async start() {} async stop() {} }';

  test('only broker.ts and composition/ construct services', () => {
    const files = { 'src/session/sessions.ts': service };
    const text = "import { Sessions } from './session/sessions.js';\nnew Sessions();";
    expect(typeScriptRules({ ...files, 'src/broker.ts': text })).toEqual([]);
    const elsewhere = text.replace('./', '../');
    expect(typeScriptRules({ ...files, 'src/composition/compose.ts': elsewhere })).toEqual([]);
    expect(typeScriptRules({ ...files, 'src/will/wills.ts': elsewhere })).toEqual([
      'src/will/wills.ts: only-broker-constructs-services',
    ]);
  });

  test('nobody but the broker imports composition/, which is no way around the rule', () => {
    const text = "import { compose } from './composition/compose.js';";
    expect(typeScriptRules({ 'src/broker.ts': text })).toEqual([]);
    expect(typeScriptRules({ 'src/cli/x.ts': text.replace('./', '../') })).toEqual([
      'src/cli/x.ts: only-the-broker-imports-composition',
    ]);
  });

  test('what has no start() and stop() is not a service; the Broker is none either', () => {
    expect(
      typeScriptRules({
        'src/session/id.ts': 'export class Id {}\nnew Id();',
        'src/broker.ts': 'export class Broker { start() {} stop() {} }',
        'src/cli/main.ts': "import { Broker } from '../broker.js';\nnew Broker();",
      }),
    ).toEqual([]);
  });

  test('no service imports cli/ or console/', () => {
    expect(typeScriptRules({ 'src/auth/a.ts': "import { x } from '../cli/main.js';" })).toEqual([
      'src/auth/a.ts: no-service-imports-cli',
    ]);
    expect(typeScriptRules({ 'src/auth/a.ts': "import { x } from '../console/c.js';" })).toEqual([
      'src/auth/a.ts: no-service-imports-console',
    ]);
    expect(typeScriptRules({ 'src/broker.ts': "import { x } from './console/c.js';" })).toEqual([]);
    expect(typeScriptRules({ 'src/broker.ts': "import { x } from './cli/main.js';" })).toEqual([
      'src/broker.ts: no-service-imports-cli',
    ]);
    expect(typeScriptRules({ 'src/index.ts': "export { x } from './cli/main.js';" })).toEqual([
      'src/index.ts: no-service-imports-cli',
    ]);
  });

  test('services do not import the broker, but may name its type', () => {
    expect(typeScriptRules({ 'src/will/w.ts': "import { Broker } from '../broker.js';" })).toEqual([
      'src/will/w.ts: services-do-not-import-the-broker',
    ]);
    expect(
      typeScriptRules({ 'src/will/w.ts': "import type { Broker } from '../broker.js';" }),
    ).toEqual([]);
  });

  test('src/native/ imports no policy, and src/ nothing outside itself', () => {
    expect(typeScriptRules({ 'src/native/a.ts': "import { x } from '../auth/a.js';" })).toEqual([
      'src/native/a.ts: native-dispatch-has-no-policy',
    ]);
    expect(typeScriptRules({ 'src/native/a.ts': "import { x } from '../errors.js';" })).toEqual([]);
    expect(
      typeScriptRules({ 'src/native/a.ts': "import type { X } from '../config/o.js';" }),
    ).toEqual([]);
    expect(typeScriptRules({ 'src/native/a.ts': "import { x } from '../config/o.js';" })).toEqual([
      'src/native/a.ts: native-dispatch-has-no-policy',
    ]);
    expect(typeScriptRules({ 'src/auth/a.ts': "import { x } from '../../test/a.js';" })).toEqual([
      'src/auth/a.ts: src-imports-only-src',
    ]);
  });
});

describe('length rule', () => {
  const long = { path: 'src/a.ts', text: 'x\n'.repeat(longestFileLines + 1) };

  test('a long file needs a reason', () => {
    const rules = checkLength([long], new Map()).map(({ rule }) => rule);
    expect(rules).toEqual(['file-length']);
    expect(checkLength([long], new Map([['src/a.ts', 'one table']]))).toEqual([]);
  });

  test('exactly the limit is allowed', () => {
    expect(
      checkLength([{ path: 'src/a.ts', text: 'x\n'.repeat(longestFileLines) }], new Map()),
    ).toEqual([]);
  });

  test('a reason for a file that needs none is itself a fault', () => {
    const rules = checkLength([], new Map([['src/a.ts', 'one table']])).map(({ rule }) => rule);
    expect(rules).toEqual(['file-length-reason-unneeded']);
  });
});
