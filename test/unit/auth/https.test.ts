// The client of providers over TLS: whom it trusts, and as whom it comes.
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { HttpClient } from '../../../src/auth/http/client.ts';
import { issue } from '../../harness/certificates.js';

const root = issue({ subject: { cn: 'Root' }, isCa: true });
const server = issue({ subject: { cn: 'idp' }, by: root, names: ['localhost'] });
const misnamed = issue({ subject: { cn: 'idp' }, by: root, names: ['other.example'] });
const broker = issue({ subject: { cn: 'broker' }, by: root });

const undo: (() => void)[] = [];
afterEach(() => {
  for (const one of undo.splice(0)) one();
});

async function ask(
  served: { readonly certificate: string; readonly key: string },
  client: { ca?: Buffer; cert?: Buffer; key?: Buffer },
  options: ServerOptions = {},
): Promise<string> {
  const { certificate: cert, key } = served;
  const at = createServer({ cert, key, ...options }, (request, response) => {
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    response.end(String(subject?.CN ?? 'nobody'));
  });
  await new Promise<void>((done) => at.listen(0, '127.0.0.1', done));
  undo.push(() => {
    at.closeAllConnections();
    at.close();
  });
  const { port } = at.address() as AddressInfo;
  const bounds = { timeoutMs: 5000, maxSockets: 1, maxBytes: 1000 };
  const http = new HttpClient({ url: `https://localhost:${port}/`, ...bounds, ...client });
  undo.push(() => http.stop());
  const { body } = await http.send({ method: 'GET', headers: {} });
  return body.toString();
}

const ca = Buffer.from(root.certificate);

test('a server of its CA is trusted; nobody else is', async () => {
  expect(await ask(server, { ca })).toBe('nobody');
  await expect(ask(server, {})).rejects.toThrow(/UNABLE_TO|SELF_SIGNED/);
  await expect(ask(misnamed, { ca })).rejects.toThrow('ERR_TLS_CERT_ALTNAME_INVALID');
});

test('it comes with its own certificate where it has one', async () => {
  const own = { ca, cert: Buffer.from(broker.certificate), key: Buffer.from(broker.key) };
  const strict = { requestCert: true, rejectUnauthorized: true, ca: root.certificate };
  expect(await ask(server, own, strict)).toBe('broker');
  await expect(ask(server, { ca }, strict)).rejects.toThrow();
});

test('what is no certificate is told when it is made, not when it is used', () => {
  const bounds = { url: 'https://localhost/', timeoutMs: 1, maxSockets: 1, maxBytes: 1 };
  const cert = Buffer.from(broker.certificate);
  const others = Buffer.from(server.key);
  expect(() => new HttpClient({ ...bounds, cert, key: others })).toThrow();
  expect(() => new HttpClient({ ...bounds, cert: Buffer.from('none') })).toThrow();
});
