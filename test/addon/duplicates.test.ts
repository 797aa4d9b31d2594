// duplicate_client_id by listener: whom the newer connection finds, and what it is told.
import { afterEach, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import { Client, connectPacket, unique } from '../harness/client.js';
import { type Address, Wire } from '../harness/wire.js';

let broker: Broker;
afterEach(() => broker?.stop({ timeoutMs: 100 }));

test.each([1, 3])(
  'reject: 0x85 or 2, and the older one stays; %i I/O threads',
  async (io_threads) => {
    broker = new Broker({
      broker: { io_threads },
      unified: {
        strict: { listen: '127.0.0.1:0', connections: { duplicate_client_id: 'reject' } },
        plain: { listen: '127.0.0.1:0' },
      },
      log: { to: 'off' },
    });
    await broker.start();
    const [strict, plain] = broker.addresses.map(
      ({ port }): Address => ({ host: '127.0.0.1', port: port ?? 0 }),
    );
    if (strict === undefined || plain === undefined) throw new Error('two listeners');
    const refused: unknown[] = [];
    broker.on('refused', (info) => refused.push([info.listener, info.cause, info.reasonCode]));
    const clientId = unique();
    const old = await Client.connect(plain, { clientId });
    for (const [version, code] of [
      ['5.0', 0x85],
      ['3.1.1', 2],
      ['3.1', 2],
    ] as const) {
      const wire = await Wire.open(strict, version);
      wire.send(connectPacket({ clientId, version }));
      const connack = await wire.expect('CONNACK');
      expect(connack.reasonCode).toBe(code);
      await wire.expectClosed();
    }
    await old.publish('still', 'here', { qos: 1 });
    expect(refused).toEqual([1, 2, 3].map(() => ['unified-strict', 'duplicate_client_id', 0x85]));
    expect(broker.metrics()).toMatchObject({ refused_duplicate_client_id: 3, takeovers: 0 });
    // The newer one's listener counts.
    const newer = await Client.connect(plain, { clientId });
    expect((await old.wire.expect('DISCONNECT')).reasonCode).toBe(0x8e);
    await newer.disconnect();
    await (await Client.connect(strict, { clientId })).disconnect();
  },
);
