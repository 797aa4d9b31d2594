// What the log of a broker with TLS listeners says about its engine.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Broker, type BrokerOptions } from '../../src/broker.js';
import { kInternals } from '../../src/internal.js';
import { issue } from '../harness/certificates.js';

/** The lines with `text`, of a broker with two such listeners that started and stopped. */
export async function linesWith(text: string, options: BrokerOptions = {}): Promise<string[]> {
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
    unified: { one: { listen: '127.0.0.1:0', tls }, two: { listen: '127.0.0.1:0', tls } },
    log: { to: 'console' },
    [kInternals]: { logStream },
    ...options,
  } as unknown as BrokerOptions);
  await broker.start();
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
  return log.split('\n').filter((line) => line.includes(text));
}
