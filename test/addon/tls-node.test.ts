// TLS in Node's own module: all that holds with the native engine must hold with it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { Broker, type BrokerOptions } from '../../src/broker.js';
import { kInternals } from '../../src/internal.js';
import { issue } from '../harness/certificates.js';
import { tested } from '../harness/tls-engine.js';

tested.engine = 'node';

test('it is used where the configuration says so, and the log says it once', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-tls-'));
  const { certificate, key } = issue({ subject: { cn: 'localhost' }, names: ['localhost'] });
  writeFileSync(join(folder, 'server.pem'), certificate);
  writeFileSync(join(folder, 'server.key'), key);
  const tls = { certpath: join(folder, 'server.pem'), keypath: join(folder, 'server.key') };
  let log = '';
  const logStream = new Writable({
    write(chunk, _encoding, done) {
      log += String(chunk);
      done();
    },
  });
  const broker = new Broker({
    broker: { tls_engine: 'node' },
    unified: { one: { listen: '127.0.0.1:0', tls }, two: { listen: '127.0.0.1:0', tls } },
    log: { to: 'console' },
    [kInternals]: { logStream },
  } as BrokerOptions);
  await broker.start();
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
  const lines = log.split('\n').filter((line) => line.includes("Node's module tls"));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/warn/i);
  expect(lines[0]).toContain('broker.tls_engine is');
});

await import('./tls.test.js');
await import('./tls-broker.test.js');
await import('./certificate-auth.test.js');
