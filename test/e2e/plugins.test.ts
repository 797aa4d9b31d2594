// Plugins of the program: found by its configuration and by the package.json beside it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { launch, standIn } from './broker-process.js';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-plugins-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const listener = '[unified.1]\nlisten = "127.0.0.1:0"\n';

async function runToEnd(args: string[]) {
  const { child, errors, exited } = launch(args);
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const { code } = await exited;
  clearTimeout(timer);
  return { code, output, errors: errors() };
}

describe.skipIf(standIn)('plugins of the program', { timeout: 60_000 }, () => {
  test('one that does not start ends the start: one line, exit code 1; check finds no fault', async () => {
    file('bad.mjs', "export const plugin = { start() { throw new Error('no licence'); } };");
    const config = file(
      'bad.toml',
      `${listener}[plugins.bad]\nmodule = "./bad.mjs"\nimmutable = true\n`,
    );
    expect(await runToEnd(['-c', config])).toMatchObject({
      code: 1,
      errors: 'st-mqttd: plugin "bad" does not start: no licence\n',
    });
    expect(await runToEnd(['check', '-c', config])).toMatchObject({ code: 0, errors: '' });
  });

  test("what a plugin does not catch is logged with its name; what is no plugin's ends the process", async () => {
    file(
      'wild.mjs',
      `import { readFile } from 'node:fs/promises';
      export const plugin = { start(context) {
        void Promise.reject(new Error('rejected at once'));
        setTimeout(() => { throw new Error('thrown by a timer'); }, 1);
        void readFile('/there/is/none');
        context.onReady(() => void setTimeout(async () => { throw new Error('rejected later'); }, 1));
        context.onConnected(() => void Promise.reject(new Error('rejected in a hook')));
        context.onReady(() => void setTimeout(() => context.link({ clientId: 'x' }), 5));
        if (context.config.ends) {
          setTimeout(() => queueMicrotask(() => { throw new Error('nobody knows whose'); }), 400);
        } else {
          setTimeout(() => process.kill(process.pid, 'SIGTERM'), 400);
        }
      } };`,
    );
    const wild = (ends: boolean) =>
      `${listener}[plugins.wild]\nmodule = "./wild.mjs"\ndefault_startup = true\nconfig.ends = ${ends}\n`;
    const good = await runToEnd(['-c', file('wild.toml', wild(false))]);
    expect(good.code).toBe(0);
    const said = (good.output + good.errors).replaceAll('\\"', '"');
    for (const text of [
      'plugin "wild": a promise that nobody waits for: rejected at once; the broker goes on',
      'plugin "wild": a callback: thrown by a timer; the broker goes on',
      'plugin "wild": a promise that nobody waits for: rejected later; the broker goes on',
      'plugin "wild": a promise that nobody waits for: rejected in a hook; the broker goes on',
      'ENOENT',
    ]) {
      expect(said).toContain(text);
    }
    const bad = await runToEnd(['-c', file('wild.toml', wild(true))]);
    expect(bad.code).toBe(1);
    expect(bad.errors).toContain('Error: nobody knows whose');
  });

  test('check has the place of what a schema refuses, and shows no value', async () => {
    const config = file(
      'rewrite.toml',
      `${listener}[plugins.topic-rewrite]\ndefault_startup = true\n[plugins.topic-rewrite.config]\nrules = "xyzzy"\n`,
    );
    for (const args of [
      ['check', '-c', config],
      ['-c', config],
    ]) {
      const { code, errors, output } = await runToEnd(args);
      expect(code).toBe(1);
      expect(errors).toBe(
        `st-mqttd: ${config}:6:1: plugins.topic-rewrite.config.rules: plugin "topic-rewrite": ` +
          'its configuration is refused: config.rules must be array\n',
      );
      expect(output + errors).not.toContain('xyzzy');
    }
  });
});
