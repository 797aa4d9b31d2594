// TLS of the installed package under each supported line of Node: every line brings another OpenSSL,
// and the addon finds its functions in the process. `npm run test:package` gives the binaries; without
// it the Node that runs the tests stands for all.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { issue, revocationList } from '../harness/certificates.js';
import { emptyFolder, freePort, mustRun, root, startBroker } from './packed.js';

interface NodeBinary {
  readonly version: string;
  readonly path: string;
}

const nodes = JSON.parse(
  process.env.ST_MQTTD_TLS_NODES ??
    JSON.stringify([{ version: process.versions.node, path: process.execPath }]),
) as readonly NodeBinary[];

/** Files of a plant, and the configuration of a listener that asks for client certificates. */
async function site() {
  const folder = emptyFolder('tls');
  const at = (name: string) => join(folder, name);
  const ca = issue({ subject: { cn: 'Plant CA' }, isCa: true });
  const server = issue({ subject: { cn: 'localhost' }, by: ca, names: ['localhost'] });
  const device = issue({ subject: { cn: 'device-1', o: 'acme' }, by: ca });
  const revoked = issue({ subject: { cn: 'device-2' }, by: ca });
  const files = {
    'ca.pem': ca.certificate,
    'crl.pem': revocationList(ca, [revoked]),
    'server.pem': server.certificate,
    'server.key': server.key,
    'device.pem': device.certificate,
    'device.key': device.key,
    'revoked.pem': revoked.certificate,
    'revoked.key': revoked.key,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(at(name), text, { mode: 0o600 });
  const port = await freePort();
  const configuration = at('st-mqttd.toml');
  writeFileSync(
    configuration,
    `[unified.secure]
listen = "127.0.0.1:${port}"
[unified.secure.tls]
certpath = "${at('server.pem')}"
keypath = "${at('server.key')}"
capath = "${at('ca.pem')}"
crlpath = "${at('crl.pem')}"
`,
  );
  return { folder, port, configuration };
}

/** Runs in a Node of its own, for its OpenSSL to be the client's. Prints one line of JSON. */
const client = `
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect } from 'node:tls';
import mqtt from 'mqtt';
const [folder, port] = process.argv.slice(-2);
const file = (name) => readFileSync(folder + '/' + name);
const base = { host: 'localhost', port: Number(port), servername: 'localhost', ca: file('ca.pem') };
const shown = (name) => ({ cert: file(name + '.pem'), key: file(name + '.key') });
const result = {};
for (const version of ['TLSv1.2', 'TLSv1.3']) {
  const one = await mqtt.connectAsync('mqtts://localhost:' + port, {
    ...base, ...shown('device'), minVersion: version, maxVersion: version,
    protocolVersion: 5, reconnectPeriod: 0,
  });
  const spoken = one.stream.getProtocol();
  await one.subscribeAsync('hall/#', { qos: 1 });
  const received = once(one, 'message');
  await one.publishAsync('hall/4', Buffer.alloc(300_000, version), { qos: 1 });
  const [topic, payload] = await received;
  await one.endAsync();
  const ticket = await new Promise((resolve, reject) => {
    const first = connect({ ...base, ...shown('device'), minVersion: version, maxVersion: version });
    first.once('error', reject);
    first.once('session', (session) => { resolve(session); first.destroy(); });
  });
  const again = connect({
    ...base, ...shown('device'), minVersion: version, maxVersion: version, session: ticket,
  });
  await once(again, 'secureConnect');
  const resumed = again.isSessionReused();
  again.destroy();
  const whole = payload.equals(Buffer.alloc(300_000, version));
  result[version] = { spoken, topic, whole, resumed };
}
const refused = (options) => new Promise((resolve) => {
  const socket = connect({ ...base, ...options });
  socket.once('error', ({ code }) => resolve(code));
  // TLS 1.3 refuses a client's certificate after its handshake.
  socket.once('close', () => resolve('closed'));
});
result.none = await refused({});
result.revoked = await refused(shown('revoked'));
result.old = await refused({ ...shown('device'), minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' });
console.log(JSON.stringify(result));
`;

/** To be called within a describe(); `package` is asked when the tests run. */
export function tlsUnderEveryNode(
  installed: () => { readonly folder: string; readonly env: NodeJS.ProcessEnv },
): void {
  test.each(nodes)('Node $version is what it says', async ({ version, path }) => {
    const { folder, env } = installed();
    expect((await mustRun(folder, env, path, '-p', 'process.versions.node')).trim()).toBe(version);
  });

  const pairs = nodes.flatMap((broker) => nodes.map((client) => ({ broker, client })));
  test.each(pairs)(
    'a broker of Node $broker.version, a client of Node $client.version',
    { timeout: 120_000 },
    async (pair) => {
      const { folder, env } = installed();
      const { configuration, port, folder: files } = await site();
      const main = 'node_modules/st-mqttd/dist/cli/main.js';
      const broker = await startBroker(folder, env, pair.broker.path, main, '-c', configuration);
      try {
        const script = ['--input-type=module', '-e', client, files, `${port}`];
        const result: unknown = JSON.parse(await mustRun(root, env, pair.client.path, ...script));
        const spoken = { topic: 'hall/4', whole: true, resumed: true };
        expect(result).toEqual({
          'TLSv1.2': { spoken: 'TLSv1.2', ...spoken },
          'TLSv1.3': { spoken: 'TLSv1.3', ...spoken },
          none: expect.stringMatching(/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/i),
          revoked: expect.stringMatching(/CERTIFICATE_REVOKED/i),
          old: expect.stringMatching(/PROTOCOL/i),
        });
      } finally {
        expect(await broker.stop()).toContain('the client sent no certificate');
      }
    },
  );
}
