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
