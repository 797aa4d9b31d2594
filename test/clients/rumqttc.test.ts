// rumqttc, the Rust client, against the broker: each case of rumqttc/src is one test.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BrokerProcess, standIn, startProcess } from '../e2e/broker-process.js';
import { run } from './programs.js';

// `npm run test:clients` builds it where there is a cargo.
const program = process.env.STMQTTD_RUMQTTC_CASES;
const title = program === undefined ? 'rumqttc (missing: see npm run test:clients)' : 'rumqttc';

const everywhere = [
  'all_qos',
  'retained',
  'will',
  'persistent',
  'manual_acks',
  'large',
  'wildcards',
  'shared',
  'taken_over',
];
const modern = ['properties', 'topic_alias', 'will_delay', 'assigned_id', 'receive_maximum'];
// What mosquitto, as a stand-in, does otherwise: it closes without a word.
const notOfStandIn = new Set(['taken_over 5.0']);

describe.skipIf(program === undefined)(title, () => {
  let broker: BrokerProcess;
  beforeAll(async () => {
    broker = await startProcess();
  });
  afterAll(async () => {
    await broker?.stop();
  });

  const chosen = [
    ...['3.1.1', '5.0'].flatMap((version) => everywhere.map((name) => ({ version, name }))),
    ...modern.map((name) => ({ version: '5.0', name })),
  ];
  for (const { version, name } of chosen) {
    test.skipIf(standIn && notOfStandIn.has(`${name} ${version}`))(
      `${name}, MQTT ${version}`,
      async () => {
        const result = await run(program ?? '', [name, version, `${broker.port}`], {
          timeoutMs: 60_000,
        });
        expect(result).toEqual({ code: 0, stdout: '', stderr: '' });
      },
      65_000,
    );
  }
});
