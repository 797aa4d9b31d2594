// TLS listeners of a broker: MQTT.js over mqtts://, client certificates, files that change while
// clients are connected, and configurations that are wrong.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { IClientOptions, MqttClient } from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { encryptedKey, type Issued, issue, pkcs12 } from '../harness/certificates.js';
import { eventually } from '../harness/eventually.js';
import { connectOrFail } from '../harness/mqtt-connect.js';
import { tested } from '../harness/tls-engine.js';

const root = issue({ subject: { cn: 'Root' }, isCa: true });
const serverNamed = (cn: string) => issue({ subject: { cn }, by: root, names: ['localhost'] });
const server = serverNamed('first');
const device = issue({ subject: { cn: 'device-1', o: 'acme' }, by: root });

let folder: string;
let broker: Broker | undefined;
let clients: MqttClient[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'st-mqttd-tls-'));
  put(server);
  writeFileSync(path('ca.pem'), root.certificate);
});
afterEach(async () => {
  await Promise.all(clients.map((client) => client.endAsync(true)));
  clients = [];
  await broker?.stop({ timeoutMs: 300 });
  broker = undefined;
  rmSync(folder, { recursive: true, force: true });
});
const path = (name: string) => join(folder, name);
function put({ certificate, key }: Pick<Issued, 'certificate' | 'key'>): void {
  writeFileSync(path('server.pem'), certificate);
  writeFileSync(path('server.key'), key);
}

const own = () => ({ certpath: path('server.pem'), keypath: path('server.key') });
async function start(tls: Record<string, unknown>, over: ConfigTables = {}): Promise<Broker> {
  broker = new Broker({
    log: { to: 'off' },
    unified: { secure: { listen: '127.0.0.1:0', tls } },
    ...over,
    broker: { tls_engine: tested.engine, ...over.broker },
  } as ConfigTables);
  await broker.start();
  return broker;
}
function portOf({ addresses }: Broker): number {
  return addresses[0]?.port ?? 0;
}
async function mqtts(at: Broker, options: IClientOptions = {}): Promise<MqttClient> {
  const client = await connectOrFail(`mqtts://localhost:${portOf(at)}`, {
    ca: root.certificate,
    family: 4,
    ...options,
  } as IClientOptions);
  clients.push(client);
  return client;
}
/** Whose certificate a new connection gets. */
async function servedBy(at: Broker): Promise<string> {
  const socket = await new Promise<TLSSocket>((done, fail) => {
    const made = connectTls({ port: portOf(at), host: '127.0.0.1', rejectUnauthorized: false });
    made.once('secureConnect', () => done(made)).once('error', fail);
  });
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}

test.each([4, 5] as const)(
  'MQTT.js, protocol version %i, large and many messages',
  async (protocolVersion) => {
    const at = await start(own(), { broker: { io_threads: 2 } });
    const receiver = await mqtts(at, { protocolVersion });
    const sender = await mqtts(at, { protocolVersion });
    await receiver.subscribeAsync('t/#', { qos: 1 });
    const seen: Buffer[] = [];
    receiver.on('message', (_topic, payload) => seen.push(payload));
    const large = Buffer.alloc(200_000, 'x');
    await sender.publishAsync('t/large', large, { qos: 1 });
    await Promise.all(
      Array.from({ length: 500 }, (_, n) => sender.publishAsync('t/n', `${n}`, { qos: 1 })),
    );
    await eventually(() => expect(seen).toHaveLength(501));
    expect(seen[0]?.equals(large)).toBe(true);
    expect(seen.slice(1).map(String)).toEqual(Array.from({ length: 500 }, (_, n) => `${n}`));
  },
);

test('client certificates are required where a CA is given', async () => {
  const at = await start({ ...own(), capath: path('ca.pem') });
  await mqtts(at, { cert: device.certificate, key: device.key });
  await expect(mqtts(at)).rejects.toThrow();
});

test('the verified certificate tells who the client is', async () => {
  const at = await start({ ...own(), capath: path('ca.pem'), identity: 'cn' });
  const connected = new Promise<string | undefined>((done) =>
    at.once('connect', ({ username }) => done(username)),
  );
  await mqtts(at, { cert: device.certificate, key: device.key, username: 'somebody else' });
  expect(await connected).toBe('device-1');
});

test('a session that is resumed on another thread: its TLS connection moves', async () => {
  const at = await start(own(), { broker: { io_threads: 3 } });
  const options = {
    protocolVersion: 5,
    clean: false,
    properties: { sessionExpiryInterval: 100 },
  } as const;
  for (let round = 0; round < 6; round++) {
    const client = await mqtts(at, { ...options, clientId: 'mover' });
    if (round === 0) await client.subscribeAsync('m', { qos: 1 });
    const message = new Promise<string>((done) =>
      client.once('message', (_topic, payload) => done(String(payload))),
    );
    await client.publishAsync('m', `round ${round}`, { qos: 1 });
    expect(await message).toBe(`round ${round}`);
    await client.endAsync();
  }
});

test('other files: new connections get them, those that are there stay; wrong ones change nothing', async () => {
  const at = await start(own());
  const records: string[] = [];
  at.on('log', ({ level, text }) => records.push(`${level}: ${text}`));
  const before = await mqtts(at);
  expect(await servedBy(at)).toBe('first');
  put(serverNamed('second'));
  await eventually(async () => expect(await servedBy(at)).toBe('second'));
  put({ certificate: serverNamed('third').certificate, key: server.key });
  await eventually(() =>
    expect(records.join('\n')).toMatch(/error: .*server\.key does not belong to the certificate/),
  );
  expect(await servedBy(at)).toBe('second');
  expect(before.connected).toBe(true);
  await before.publishAsync('still', 'there', { qos: 1 });
});

test('an encrypted key, and PKCS#12', async () => {
  writeFileSync(path('server.key'), encryptedKey(server, 'pass'));
  await mqtts(await start({ ...own(), keypass: 'pass' }));
  await broker?.stop({ timeoutMs: 300 });
  writeFileSync(path('server.p12'), pkcs12(server, [], 'word'));
  await mqtts(await start({ pkcs12path: path('server.p12'), pkcs12pass: 'word' }));
});

test('what is wrong ends the start, with the file and no secret', async () => {
  const other = serverNamed('other');
  put({ certificate: server.certificate, key: other.key });
  await expect(start(own())).rejects.toMatchObject({
    code: 'ST_TLS_ITEM',
    message: expect.stringContaining(`${path('server.key')} does not belong to the certificate`),
  });
  const old = issue({ subject: { cn: 'old' }, notAfter: new Date(Date.now() - 1000) });
  put(old);
  await expect(start(own())).rejects.toMatchObject({
    code: 'ST_TLS_ITEM',
    message: expect.stringContaining('server.pem has expired'),
  });
  await expect(start({ ...own(), keypath: path('none') })).rejects.toMatchObject({
    code: 'ST_TLS_READ',
  });
  put(server);
  await expect(start({ ...own(), ciphers: 'NO-SUCH' })).rejects.toMatchObject({
    code: 'ST_TLS_ITEM',
    message: expect.stringContaining('TLS 1.2'),
  });
});
