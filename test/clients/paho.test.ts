// paho-mqtt for Python against the broker: each case of paho/cases.py is one test.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BrokerProcess, standIn, startProcess } from '../e2e/broker-process.js';
import { run } from './programs.js';
import { makeSite, type Site } from './site.js';

// `npm run test:clients` finds or installs a Python that has paho-mqtt 2.
const python = process.env.STMQTTD_PAHO_PYTHON;
const title = python === undefined ? 'paho-mqtt (missing: see npm run test:clients)' : 'paho-mqtt';
const cases = join(import.meta.dirname, 'paho', 'cases.py');

const everywhere = [
  'all_qos',
  'retained',
  'will',
  'persistent',
  'broken_connections',
  'large',
  'wildcards',
  'shared',
  'taken_over',
];
const modern = ['properties', 'subscribe_options', 'flow_control', 'will_delay'];
// What mosquitto, as a stand-in, does otherwise.
const notOfStandIn = new Set(['taken_over 5.0', 'broken_connections 5.0', 'flow_control 5.0']);

async function expectCase(...args: readonly string[]): Promise<void> {
  const result = await run(python ?? '', [cases, ...args], { timeoutMs: 60_000 });
  expect(result).toEqual({ code: 0, stdout: '', stderr: '' });
}

describe.skipIf(python === undefined)(title, () => {
  let broker: BrokerProcess;
  let site: Site | undefined;
  beforeAll(async () => {
    site = standIn ? undefined : await makeSite();
    broker = await startProcess(site?.configuration);
  });
  afterAll(async () => {
    await broker?.stop();
    site?.remove();
  });

  const chosen = [
    ...['3.1', '3.1.1', '5.0'].flatMap((version) => everywhere.map((name) => ({ version, name }))),
    ...modern.map((name) => ({ version: '5.0', name })),
  ];
  for (const { version, name } of chosen) {
    test.skipIf(standIn && notOfStandIn.has(`${name} ${version}`))(
      `${name}, MQTT ${version}`,
      async () => {
        await expectCase(name, version, `${broker.port}`);
      },
      65_000,
    );
  }

  const transports = [
    ['tls', '3.1.1'],
    ['tls', '5.0'],
    ['ws', '3.1.1'],
    ['ws', '5.0'],
    ['wss', '5.0'],
  ] as const;
  describe.skipIf(standIn).each(transports)('by %s, MQTT %s', (transport, version) => {
    // paho's WebSocket over TLS hides the socket that this case breaks.
    const cases = everywhere.filter((name) => transport !== 'wss' || name !== 'broken_connections');
    test.each(cases)(
      '%s',
      async (name) => {
        const { ports, caFile } = site as Site;
        await expectCase(name, version, `${ports[transport]}`, transport, caFile);
      },
      65_000,
    );
  });
});
