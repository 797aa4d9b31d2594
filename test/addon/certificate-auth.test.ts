// Client certificates as identities: from the TLS handshake to the username and the application.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IClientOptions } from 'mqtt';
import { afterAll, afterEach, expect, test } from 'vitest';
import type { AuthContext } from '../../src/auth/context.ts';
import { Broker, type BrokerOptions } from '../../src/broker.ts';
import { issue } from '../harness/certificates.js';
import { connectOrFail } from '../harness/mqtt-connect.js';
import { tested } from '../harness/tls-engine.js';

const root = issue({ subject: { cn: 'Root' }, isCa: true });
const server = issue({ subject: { cn: 'server' }, by: root, names: ['localhost'] });
const device = issue({ subject: { cn: 'pump-7', o: 'acme' }, by: root });
const stranger = issue({
  subject: { cn: 'pump-7', o: 'acme' },
  by: issue({ subject: { cn: 'Root' }, isCa: true }),
});

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-mtls-'));
const path = (name: string, text: string) => {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
};
const tls = {
  certpath: path('server.pem', server.certificate),
  keypath: path('server.key', server.key),
  capath: path('ca.pem', root.certificate),
};
const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function start(more: object, prepare: (broker: Broker) => void = () => undefined) {
  const listener = { name: 'main', listen: '127.0.0.1:0', tls: { ...tls, ...more } };
  const broker = new Broker({
    broker: { tls_engine: tested.engine },
    unified: { main: listener },
    log: { to: 'off' },
  } as BrokerOptions);
  prepare(broker);
  undo.push(() => broker.stop({ timeoutMs: 0 }));
  await broker.start();
  const usernames: (string | undefined)[] = [];
  broker.on('connect', ({ username }) => usernames.push(username));
  const codeOf = async (options: IClientOptions): Promise<number | string> => {
    try {
      const client = await connectOrFail(`mqtts://localhost:${broker.addresses[0]?.port}`, {
        ca: root.certificate,
        protocolVersion: 5,
        family: 4,
        ...options,
      } as IClientOptions);
      await client.endAsync(true);
      return 0;
    } catch (error) {
      return (error as { code?: number | string }).code ?? 'closed';
    }
  };
  return { codeOf, usernames };
}

const shown = { cert: device.certificate, key: device.key };

test('identity = "cn": the certificate says who it is, whatever CONNECT says', async () => {
  const { codeOf, usernames } = await start({ verify_client_cert: 'optional', identity: 'cn' });
  expect(await codeOf({ ...shown, username: 'root', password: 'x' })).toBe(0);
  expect(usernames).toEqual(['pump-7']);
  expect(await codeOf({})).toBe(0x87);
  expect(await codeOf({ username: 'pump-7', password: 'x' })).toBe(0x86);
  const forged = { cert: stranger.certificate, key: stranger.key };
  expect(typeof (await codeOf(forged))).toBe('string');
});

test('the application sees the certificate', async () => {
  const seen: unknown[] = [];
  const look = ({ transport, certificate }: AuthContext) => {
    seen.push([transport, certificate?.cn, certificate?.organization, certificate?.dn]);
    return certificate !== undefined;
  };
  const { codeOf } = await start({ verify_client_cert: 'optional' }, (broker) =>
    broker.authenticate(look),
  );
  expect(await codeOf(shown)).toBe(0);
  expect(await codeOf({})).toBe(0x87);
  expect(seen).toEqual([
    ['tls', 'pump-7', 'acme', expect.stringContaining('CN=pump-7')],
    ['tls', undefined, undefined, undefined],
  ]);
});
