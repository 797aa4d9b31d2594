// The package as its consumers compile and load it: ES modules, CommonJS and TypeScript of every
// module resolution that Node's packages know, and every example of docs/EMBEDDING.md and README.md.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emptyFolder, mustRun, removeFolders, root, runIn } from './packed.js';

let folder: string;
const tsc = join(root, 'node_modules/typescript/bin/tsc');

beforeAll(() => {
  folder = emptyFolder('consumer');
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
  // By its name, so that `exports` is what resolves it.
  symlinkSync(root, join(folder, 'node_modules/st-mqttd'));
  symlinkSync(join(root, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'));
});
afterAll(removeFolders);

const typed = `
async function main(): Promise<void> {
  const options: BrokerOptions = { unified: {} };
  const broker: Broker = new Broker(options);
  await broker.start();
  const link: Link = await broker.link({ clientId: 'typed' });
  const subscription: Subscription = link.subscribe('a/+', { qos: 1 });
  await subscription.ready;
  await link.publish('a/b', 'hello', { qos: 1, properties: { contentType: 'text/plain' } });
  for await (const message of subscription) {
    const payload: Uint8Array = message.payload;
    console.log(message.topic, String(payload));
    break;
  }
  const names: string[] = [];
  for await (const client of broker.clients.filter({ clientId: 'ty*' })) names.push(client.clientId);
  console.log(names.join());
  class Mine extends Broker {}
  console.log(new Mine(options) instanceof Broker);
  try {
    // @ts-expect-error: not a QoS
    await link.publish('a', 'b', { qos: 3 });
  } catch (error) {
    if (error instanceof StMqttdError) console.log(error.code satisfies ErrorCode);
  }
  await broker.stop({ timeoutMs: 100 });
}
main();
`;
const names =
  'Broker, StMqttdError, type BrokerOptions, type ErrorCode, type Link, type Subscription';
const printed = 'a/b hello\ntyped\ntrue\nST_ARGUMENT\n';

/** Compiles files with every check on, the package's declarations included. */
async function compile(
  files: Readonly<Record<string, string>>,
  ...options: readonly string[]
): Promise<void> {
  const names = Object.keys(files);
  for (const name of names) writeFileSync(join(folder, name), files[name] ?? '');
  const strict = ['--strict', '--skipLibCheck', 'false', '--types', 'node', '--target', 'ES2022'];
  const args = [tsc, ...strict, ...options, ...names];
  const { code, output } = await runIn(folder, process.env, process.execPath, ...args);
  expect(output).toBe('');
  expect(code).toBe(0);
}
const run = (...args: readonly string[]) => mustRun(folder, process.env, process.execPath, ...args);

describe('TypeScript', { timeout: 180_000 }, () => {
  const text = `import { ${names} } from 'st-mqttd';\n${typed}`;

  test.each(['node16', 'nodenext'])('ES modules and CommonJS, %s', async (module) => {
    const options = ['--module', module, '--moduleResolution', module];
    await compile({ 'esm.mts': text, 'cjs.cts': text }, ...options);
    expect(await run('esm.mjs')).toBe(printed);
    expect(await run('cjs.cjs')).toBe(printed);
  });

  test('bundler', async () => {
    const options = ['--module', 'esnext', '--moduleResolution', 'bundler', '--noEmit'];
    const more = ['--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess'];
    await compile({ 'bundled.ts': text }, ...options, ...more);
  });

  test('every example of the documents', async () => {
    const examples: Record<string, string> = {};
    for (const document of ['docs/EMBEDDING.md', 'README.md']) {
      const text = readFileSync(join(root, document), 'utf8');
      const blocks = [...text.matchAll(/^```[jt]s\n(.*?)^```$/gms)].map(([, code = '']) => code);
      const found = blocks.filter((code) => code.includes("from 'st-mqttd'"));
      expect(found.length).toBeGreaterThan(0);
      for (const [index, code] of found.entries()) {
        examples[`${document.replace(/\W/g, '-')}-${index}.mts`] = code;
      }
    }
    await compile(examples, '--module', 'nodenext', '--noEmit');
  });
});

const plain = `
(async () => {
  const broker = new Broker({ unified: {} });
  await broker.start();
  const link = await broker.link();
  console.log((await link.publish('a', 'b', { qos: 1 })).reasonCode);
  await broker.stop({ timeoutMs: 100 });
})();
`;

describe('JavaScript, without a word on stderr', () => {
  test.each([
    ['an ES module', 'plain.mjs', "import { Broker } from 'st-mqttd';"],
    ['CommonJS', 'plain.cjs', "const { Broker } = require('st-mqttd');"],
    ['import() of CommonJS', 'late.cjs', 'let Broker;'],
  ])('%s', async (_, file, loads) => {
    const late = `import('st-mqttd').then((st) => { Broker = st.Broker; ${plain.trim()} });`;
    writeFileSync(join(folder, file), `${loads}\n${file === 'late.cjs' ? late : plain}`);
    expect(await runIn(folder, process.env, process.execPath, file)).toMatchObject({
      code: 0,
      output: '16\n',
    });
  });

  test('both get the same classes', async () => {
    const text =
      "const { Broker } = require('st-mqttd'); import('st-mqttd').then((st) => console.log(st.Broker === Broker));";
    expect(await run('-e', text)).toBe('true\n');
  });
});

test('the values of the CommonJS types are those of the module', async () => {
  const types = readFileSync(join(root, 'index.d.cts'), 'utf8');
  const declared = [...types.matchAll(/^export declare const (\w+)/gm)].map(([, name]) => name);
  const text = "console.log(Object.keys(require('st-mqttd')).sort().join())";
  expect((await run('-e', text)).trim()).toBe(declared.toSorted().join());
});
