// Logs of topics without a subscriber, from inside the process: links that make them, and the
// broker's own links that look on and are no subscribers.
import { afterEach, expect, test } from 'vitest';
import { Broker, type BrokerOptions } from '../../src/broker.js';
import { type Internals, kInternals } from '../../src/internal.js';
import { type LinkOptions, monitor, type OwnLinkOptions } from '../../src/link/options.js';

let broker: Broker;
afterEach(() => broker.stop({ timeoutMs: 500 }));

async function start(): Promise<void> {
  const internals: Internals = { placement: 'round-robin' };
  broker = new Broker({
    unified: {},
    broker: { io_threads: 2 },
    [kInternals]: internals,
  } as BrokerOptions);
  await broker.start();
}

/** Filters that have a log. */
async function filters(): Promise<string[]> {
  const { items } = await broker.registry.logs({ limit: 100 });
  return items.map(({ filter }) => filter).sort();
}

test('a link with dynamicFilters makes logs, another one does not', async () => {
  await start();
  const plain = await broker.link();
  const dynamic = await broker.link({ dynamicFilters: true });
  expect(await plain.publish('plain', '1', { qos: 1 })).toEqual({ reasonCode: 0x10 });
  expect(await dynamic.publish('dynamic', '1', { qos: 1 })).toEqual({ reasonCode: 0x10 });
  expect(await filters()).toEqual(['dynamic']);
  const wrong = { dynamicFilters: 'yes' } as unknown as LinkOptions;
  await expect(broker.link(wrong)).rejects.toMatchObject({ code: 'ST_ARGUMENT' });
});

test('a monitor gets messages and is no subscriber; any other link is one', async () => {
  await start();
  const own: OwnLinkOptions = { [monitor]: true };
  const looksOn = (await broker.link(own)).subscribe('#', { qos: 1 });
  await looksOn.ready;
  const publisher = await broker.link({ dynamicFilters: true });
  expect(await publisher.publish('a', '1', { qos: 1 })).toEqual({ reasonCode: 0x10 });
  expect(await filters()).toEqual(['a']);
  const subscription = (await broker.link()).subscribe('#');
  await subscription.ready;
  expect(await publisher.publish('b', '2', { qos: 1 })).toEqual({ reasonCode: 0 });
  expect(await filters()).toEqual(['a']);
  const seen: string[] = [];
  for await (const message of looksOn) {
    seen.push(message.payload.toString());
    if (seen.length === 2) break;
  }
  expect(seen).toEqual(['1', '2']);
});
