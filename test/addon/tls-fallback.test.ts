// TLS with the system's OpenSSL, as in a runtime that exports none: all that holds with the runtime's
// own must hold with it. This file is a process of its own, so that the others keep theirs.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { Broker, type BrokerOptions } from '../../src/broker.js';
import { kInternals } from '../../src/internal.js';
import { loadAddon } from '../../src/native/load.js';
import { issue } from '../harness/certificates.js';

const fallback = loadAddon().tlsFallback(true);

if (fallback === null) {
  test.skip("the system's OpenSSL (missing: libssl.so.3; on Debian or Ubuntu, apt-get install libssl3)", () =>
    undefined);
} else {
  test('it is used, and the log says so, with the reason', async () => {
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
      unified: { secure: { listen: '127.0.0.1:0', tls } },
      log: { to: 'console' },
      [kInternals]: { logStream },
    } as BrokerOptions);
    await broker.start();
    await broker.stop();
    rmSync(folder, { recursive: true, force: true });
    expect(fallback.version).toMatch(/^OpenSSL 3\./);
    const lines = log.split('\n').filter((line) => line.includes("TLS uses the system's"));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/warn/i);
    expect(lines[0]).toContain(`the system's ${fallback.version} instead`);
    expect(lines[0]).toContain(`no ${fallback.missing}`);
  });

  await import('./tls.test.js');
  await import('./tls-broker.test.js');
  await import('./certificate-auth.test.js');
}
