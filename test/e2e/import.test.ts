// Configurations of mosquitto and rmqttd with their files about access: imported, checked, started, and
// behaving as there.
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync, type IClientOptions } from 'mqtt';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.js';
import { accepts, freePort, launch, standIn } from './broker-process.js';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-import-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const put = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

let running: ReturnType<typeof launch>[] = [];
afterEach(async () => {
  for (const { child } of running) child.kill('SIGKILL');
  await Promise.all(running.map(({ exited }) => exited));
  running = [];
});
async function runs(...args: readonly string[]) {
  const { exited, errors } = launch(args);
  expect((await exited).code, errors()).toBe(0);
}
/** Imported as it is, checked, and started. */
async function started(source: string, port: number): Promise<ReturnType<typeof launch>> {
  const made = join(folder, 'made.toml');
  rmSync(made, { force: true });
  await runs('import', source, '-o', made);
  await runs('check', '-c', made);
  const program = launch(['-c', made]);
  running.push(program);
  await eventually(async () => expect(await accepts(port), program.errors()).toBe(true));
  return program;
}
const open = (port: number, options: IClientOptions = {}) =>
  connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, protocolVersion: 5, ...options });
const kNotAuthorized = 0x87;

describe.skipIf(standIn)('import', { timeout: 60_000 }, () => {
  test('mosquitto.conf with per_listener_settings: files of one listener are about it alone', async () => {
    const [inside, outside] = [await freePort(), await freePort()];
    await runs('passwd', '-b', join(folder, 'passwd'), 'anna', 'word', '--cost', '10');
    put(
      'acl',
      `# those without a name
topic read news/#

user anna
topic readwrite plant/#
topic deny plant/secret

pattern write devices/%c/state
`,
    );
    const source = put(
      'mosquitto.conf',
      `per_listener_settings true
persistence false

listener ${inside} 127.0.0.1
allow_anonymous true

listener ${outside} 127.0.0.1
allow_anonymous false
password_file ${join(folder, 'passwd')}
acl_file ${join(folder, 'acl')}
`,
    );
    await started(source, outside);
    // Inside everybody may do everything.
    const free = await open(inside);
    await free.publishAsync('plant/secret', 'x', { qos: 1 });
    await free.subscribeAsync('#');
    // Outside only who has a password, and by the rules.
    await expect(open(outside)).rejects.toMatchObject({ code: kNotAuthorized });
    await expect(open(outside, { username: 'anna', password: 'x' })).rejects.toThrow();
    const anna = await open(outside, { username: 'anna', password: 'word', clientId: 'c1' });
    await anna.publishAsync('plant/a', 'x', { qos: 1 });
    await anna.publishAsync('devices/c1/state', 'x', { qos: 1 });
    for (const topic of ['plant/secret', 'devices/c2/state', 'other', 'news/1']) {
      await expect(anna.publishAsync(topic, 'x', { qos: 1 }), topic).rejects.toThrow();
    }
    await Promise.all([free.endAsync(), anna.endAsync()]);
  });

  test('rmqtt.toml with rmqtt-acl and rmqtt-auth-http: the same server is asked the same', async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      request.on('end', () => {
        asked.push(`${request.method} ${request.headers['content-type']} ${body}`);
        const form = new URLSearchParams(body);
        if (form.get('username') === 'bare') {
          const answer = { result: 'allow', rules: [] };
          response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
        } else {
          response.end(form.get('password') === 'word' ? 'allow' : 'deny');
        }
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mqtt/auth`;
    const port = await freePort();
    mkdirSync(join(folder, 'plugins'));
    put(
      'plugins/rmqtt-acl.toml',
      `disconnect_if_pub_rejected = true
rules = [
    ["allow", { user = "dashboard" }, "subscribe", ["$SYS/#"]],
    ["deny", "all", "subscribe", ["$SYS/#"]],
    ["deny", { user = "anna" }, "publish", ["locked/#"]],
    ["allow", "all"]
]
`,
    );
    put(
      'plugins/rmqtt-auth-http.toml',
      `http_timeout = "5s"
http_headers.accept = "*/*"
http_headers.Cache-Control = "no-cache"
http_headers.User-Agent = "RMQTT/0.8.0"
http_headers.Connection = "keep-alive"
disconnect_if_pub_rejected = true
deny_if_error = true
http_auth_req.url = "${url}"
http_auth_req.method = "post"
http_auth_req.headers = { content-type = "application/x-www-form-urlencoded" }
http_auth_req.params = { clientid = "%c", username = "%u", password = "%P" }
`,
    );
    const source = put(
      'rmqtt.toml',
      `[node]
id = 1
[plugins]
dir = "plugins/"
default_startups = ["rmqtt-auth-http"]
[listener.tcp.external]
addr = "127.0.0.1:${port}"
allow_anonymous = false
`,
    );
    await started(source, port);
    const anna = await open(port, { username: 'anna', password: 'word', clientId: 'c1' });
    expect(asked).toEqual([
      'POST application/x-www-form-urlencoded clientid=c1&username=anna&password=word',
    ]);
    await anna.publishAsync('free', 'x', { qos: 1 });
    await expect(anna.publishAsync('locked/a', 'x', { qos: 1 })).rejects.toThrow();
    await expect(open(port, { username: 'anna', password: 'x' })).rejects.toThrow();
    // The configured rules end with "allow all": an empty list of one's own takes nothing away there.
    const bare = await open(port, { username: 'bare', password: 'x' });
    await bare.publishAsync('free', 'x', { qos: 1 });
    await Promise.all([anna.endAsync(), bare.endAsync()]);
    server.close();
  });
});
