// Keys of tokens from an HTTPS server that goes away: what was fetched goes on, nothing new is believed.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { issue } from '../harness/certificates.js';
import { Client } from '../harness/client.js';

const root = issue({ subject: { cn: 'Root' }, isCa: true });
const identity = issue({ subject: { cn: 'idp' }, by: root, names: ['localhost'] });
const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-jwks-'));
const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});

const keyPair = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const jwk = (kid: string, key: KeyObject) => ({ ...key.export({ format: 'jwk' }), kid });
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
function tokenOf(kid: string, key: KeyObject): Buffer {
  const claims = { sub: 'anna', exp: Math.floor(Date.now() / 1000) + 600 };
  const data = `${part({ alg: 'ES256', kid })}.${part(claims)}`;
  const signed = sign('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' });
  return Buffer.from(`${data}.${signed.toString('base64url')}`);
}

test('a server that is down: cached keys serve, a key that is new fails closed', async () => {
  const [first, second] = [keyPair(), keyPair()];
  const keys = [jwk('one', first.publicKey)];
  let asked = 0;
  const serve = async (port: number): Promise<Server> => {
    const options = { cert: identity.certificate, key: identity.key };
    const server = createServer(options, (_, response) => {
      asked++;
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }));
    });
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
    return server;
  };
  const end = (server: Server) =>
    new Promise<void>((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
  let server = await serve(0);
  undo.push(() => end(server));
  const { port } = server.address() as AddressInfo;
  const ca_path = join(folder, 'ca.pem');
  writeFileSync(ca_path, root.certificate);
  const provider = {
    kind: 'jwt',
    algorithms: ['ES256'],
    jwks_url: `https://localhost:${port}/keys`,
    jwks_cooldown_s: 0,
    jwks_timeout_ms: 2000,
    ca_path,
  };
  const broker = new Broker({
    unified: { main: { listen: '127.0.0.1:0' } },
    auth: { providers: [provider] },
    log: { to: 'off' },
  } as ConfigTables);
  undo.push(() => broker.stop({ timeoutMs: 0 }));
  await broker.start();
  const address = { host: '127.0.0.1', port: broker.addresses[0]?.port ?? 0 };
  const come = (password: Buffer): Promise<number> =>
    Client.connect(address, { username: 'anna', password }).then(
      () => 0,
      (error: Error) => Number(/0x[0-9a-f]{2}/.exec(error.message)?.[0] ?? -1),
    );
  expect(await come(tokenOf('one', first.privateKey))).toBe(0);
  expect(asked).toBe(1);
  await end(server);
  expect(await come(tokenOf('one', first.privateKey))).toBe(0);
  // Known by its name, and signed by another: no.
  expect(await come(tokenOf('one', second.privateKey))).toBe(0x86);
  // Not known, and nobody to ask: no, and the others still come in.
  expect(await come(tokenOf('two', second.privateKey))).toBe(0x88);
  expect(await come(tokenOf('one', first.privateKey))).toBe(0);
  keys.push(jwk('two', second.publicKey));
  server = await serve(port);
  expect(await come(tokenOf('two', second.privateKey))).toBe(0);
});
