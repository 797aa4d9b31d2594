// Which rule denied, and whom clients are told to be: by the registry, over all I/O threads.
import { afterEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { DenialRow } from '../../src/session/registry.js';
import { Client } from '../harness/client.js';

let broker: Broker;
afterEach(() => broker.stop({ timeoutMs: 300 }));

test('denials are listed with client, topic and rule, of all I/O threads, by pages', async () => {
  broker = new Broker({
    unified: { test: { listen: '127.0.0.1:0' } },
    log: { to: 'off' },
    broker: { io_threads: 2 },
    acl: { rules: [{ effect: 'deny', filters: ['plant/#'] }] },
  });
  await broker.start();
  const address = { host: '127.0.0.1', port: broker.addresses[0]?.port ?? 0 };
  for (const clientId of ['a', 'b', 'c', 'd']) {
    const client = await Client.connect(address, { clientId, username: `u-${clientId}` });
    const suback = await client.subscribe([{ filter: 'plant/+', qos: 1 }]);
    expect(suback.reasonCodes).toEqual([0x87]);
  }
  const other = await Client.connect(address, { clientId: 'pump' });
  await other.subscribe([{ filter: 'elsewhere', qos: 1 }]);
  const found: DenialRow[] = [];
  let cursor: string | undefined;
  do {
    const page = await broker.registry.denials({ limit: 2, cursor });
    found.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined);
  found.sort((one, other) => (one.clientId < other.clientId ? -1 : 1));
  expect(found.map(({ clientId, rule }) => `${clientId}: ${rule}`)).toEqual([
    'a: rule 1',
    'b: rule 1',
    'c: rule 1',
    'd: rule 1',
    'pump: the default',
  ]);
  expect(found[0]).toMatchObject({ username: 'u-a', action: 'SUBSCRIBE', topic: 'plant/+' });
  expect(Math.abs(Date.now() - (found[0]?.at ?? 0))).toBeLessThan(60_000);
});

test('where nobody is authenticated a client is told to be the device of its identifier', async () => {
  // Not a listener of loopback: its clients would be services, of which more is known.
  broker = new Broker({ unified: { test: { listen: '0.0.0.0:0' } }, log: { to: 'off' } });
  await broker.start();
  const address = { host: '127.0.0.1', port: broker.addresses[0]?.port ?? 0 };
  await Client.connect(address, { clientId: 'pump' });
  const identity = (await broker.registry.client('pump'))?.identity;
  expect(identity).toEqual({
    tenant: undefined,
    deviceId: 'pump',
    role: undefined,
    groups: [],
    certificateName: undefined,
    expiresAt: undefined,
  });
});
