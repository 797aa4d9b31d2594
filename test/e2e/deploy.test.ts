// What the container image starts with: its configuration, and its health check.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accepts, freePort, standIn } from './broker-process.js';
import { Client } from './mqttjs-client.js';
import { type Program, Programs } from './programs.js';

const folder = resolve(import.meta.dirname, '../../deploy/docker');

/** Exit code and what it said. */
function healthcheck(url: string | undefined, env: Readonly<Record<string, string>> = {}) {
  const args = [join(folder, 'healthcheck.mjs'), ...(url === undefined ? [] : [url])];
  return new Promise<{ code: number | null; errors: string }>((done) => {
    const child = spawn(process.execPath, args, { env: { ...process.env, ...env } });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.once('close', (code) => done({ code, errors }));
  });
}

describe.skipIf(standIn)('the image', () => {
  const programs = new Programs();
  let program: Program;
  let [old, modern, web, http] = [0, 0, 0, 0];

  beforeAll(async () => {
    [old, modern] = [await freePort(), await freePort()];
    [web, http] = [await freePort(), await freePort()];
    const text = readFileSync(join(folder, 'st-mqttd.toml'), 'utf8')
      .replace('"0.0.0.0:1883"', `"0.0.0.0:${old}"`)
      .replace('"0.0.0.0:1884"', `"0.0.0.0:${modern}"`)
      .replace('"0.0.0.0:8083"', `"0.0.0.0:${web}"`)
      // As its comment says it may be.
      .replace(
        '# [console]\n# listen = "127.0.0.1:3030"',
        `[console]\nlisten = "127.0.0.1:${http}"`,
      );
    expect(text).toContain(`[console]\nlisten`);
    program = await programs.start(text, modern);
  });
  afterAll(() => programs.endAll());

  test('serves 3.1.1 and 5.0 on their ports', async () => {
    expect(await accepts(old)).toBe(true);
    const [first, second] = [await Client.open(old, 4), await Client.open(modern, 5)];
    await first.subscribe('a', 1);
    await second.publish('a', 'through', { qos: 1 });
    expect((await first.next()).text).toBe('through');
    await Promise.all([first.close(), second.close()]);
  });

  test('serves WebSocket, and says nothing against its file', async () => {
    const client = await Client.open(web, 5, { protocol: 'ws' });
    await client.close();
    const warnings = program.log().filter(({ level }) => level === 'warn' || level === 'error');
    expect(warnings.filter(({ msg }) => /\[ws|not yet/.test(String(msg)))).toEqual([]);
  });

  test('is healthy by MQTT, on either port, and by the console', async () => {
    for (const url of [`mqtt://127.0.0.1:${old}`, `mqtt://127.0.0.1:${modern}`]) {
      expect(await healthcheck(url)).toEqual({ code: 0, errors: '' });
    }
    expect((await healthcheck(`http://127.0.0.1:${http}/livez`)).code).toBe(0);
    const MQTT_HEALTHCHECK_URL = `mqtt://localhost:${old}`;
    expect((await healthcheck(undefined, { MQTT_HEALTHCHECK_URL })).code).toBe(0);
    expect((await healthcheck(`http://127.0.0.1:${http}/nothing`)).code).toBe(1);
  });
});

describe('the health check', () => {
  test('fails where nothing listens, or something that does not answer MQTT', async () => {
    const port = await freePort();
    expect(await healthcheck(`mqtt://127.0.0.1:${port}`)).toEqual({
      code: 1,
      errors: 'health check: ECONNREFUSED\n',
    });
    expect((await healthcheck('ftp://127.0.0.1')).code).toBe(1);
    expect((await healthcheck('nonsense')).code).toBe(1);
    // The kernel accepts for it; it says nothing.
    const server = createServer(() => {});
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
    const silent = await healthcheck(`mqtt://user:hunter2@127.0.0.1:${port}`);
    expect(silent).toEqual({ code: 1, errors: 'health check: no answer in 4000 ms\n' });
    server.close();
  });
});
