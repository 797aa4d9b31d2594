// Brokers for the tests of Broker.registry, and all pages of a listing as one list.
import { expect } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { Page } from '../../src/session/registry.js';
import type { Address } from '../harness/wire.js';

export interface Started {
  readonly broker: Broker;
  readonly address: Address;
}

export async function start(
  io_threads: number,
  mqtt: Record<string, unknown> = {},
  internals: Record<symbol, unknown> = {},
): Promise<Started> {
  const broker = new Broker({
    broker: { io_threads },
    unified: { one: { listen: '127.0.0.1:0' } },
    log: { to: 'off' },
    mqtt,
    ...internals,
  });
  await broker.start();
  return { broker, address: { host: '127.0.0.1', port: broker.addresses[0]?.port ?? 0 } };
}

/** `between` runs after each page that is not the last. */
export async function everyPage<T>(
  limit: number,
  read: (page: { limit: number; cursor: string | undefined }) => Promise<Page<T>>,
  between: () => unknown = () => {},
): Promise<T[]> {
  const rows: T[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await read({ limit, cursor });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    rows.push(...page.items);
    if (page.next === undefined) return rows;
    cursor = page.next;
    await between();
  }
}
