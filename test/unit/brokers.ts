// A Broker on a fake native half.
import { Broker, type BrokerOptions } from '../../src/broker.ts';
import { type Internals, kInternals } from '../../src/internal.ts';
import { FakeAddon } from './fake-native.ts';

export const listener = { unified: { one: { listen: '127.0.0.1:2000' } } };

export function make(options: BrokerOptions = listener, internals: Internals = {}) {
  const addon = new FakeAddon();
  const broker = new Broker({
    ...options,
    [kInternals]: { addon, ...internals },
  } as unknown as BrokerOptions);
  return { addon, broker };
}
export const turn = () => new Promise<void>((done) => setImmediate(() => setImmediate(done)));
