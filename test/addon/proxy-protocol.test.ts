// Listeners behind proxies: the address that a PROXY header or X-Forwarded-For names is what events,
// the registry and logs show; from others than trusted proxies nothing is believed.
import { afterEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.js';
import type { ConfigTables } from '../../src/config/options.js';
import { connectPacket, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { RawWebSocket } from '../harness/websocket.js';
import { type Address, Wire } from '../harness/wire.js';

let brokers: Broker[] = [];
afterEach(async () => {
  await Promise.all(brokers.map((broker) => broker.stop({ timeoutMs: 300 })));
  brokers = [];
});

async function start(tables: ConfigTables): Promise<{ broker: Broker; address: Address }> {
  const broker = new Broker({ log: { to: 'off' }, ...tables });
  brokers.push(broker);
  await broker.start();
  const [bound] = broker.addresses;
  if (bound === undefined) throw new Error('the broker listens nowhere');
  return { broker, address: { host: '127.0.0.1', port: bound.port } };
}
const proxied = {
  listen: '127.0.0.1:0',
  proxy_protocol: 'any' as const,
  trusted_proxies: ['127.0.0.0/8'],
};

const v1 = Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n');
function v2(source: 'ipv4' | 'ipv6' | 'local', tlvs = Buffer.alloc(0)): Buffer {
  const addresses = {
    ipv4: Buffer.from('c0000201c6336407dc04075b', 'hex'),
    ipv6: Buffer.from(`20010db8${'0'.repeat(23)}1${'0'.repeat(31)}2dc04075b`, 'hex'),
    local: Buffer.alloc(0),
  }[source];
  const head = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');
  head[12] = source === 'local' ? 0x20 : 0x21;
  head[13] = { ipv4: 0x11, ipv6: 0x21, local: 0 }[source];
  head.writeUInt16BE(addresses.length + tlvs.length, 14);
  return Buffer.concat([head, addresses, tlvs]);
}

/** The address that the broker tells of a client that sends this first. */
async function addressBehind(
  broker: Broker,
  address: Address,
  pieces: readonly Buffer[],
): Promise<string> {
  const clientId = unique();
  const told = new Promise<string>((done) => {
    broker.on('connect', (event) => {
      if (event.clientId === clientId) done(event.address);
    });
  });
  const wire = await Wire.open(address, '5.0');
  for (const piece of pieces) wire.send(piece);
  wire.send(connectPacket({ clientId }));
  expect((await wire.expect('CONNACK')).reasonCode).toBe(0);
  const result = await told;
  wire.close();
  return result;
}

describe('PROXY protocol', () => {
  test('versions 1 and 2: the client is who the header names', async () => {
    const { broker, address } = await start({ unified: { p: proxied } });
    expect(await addressBehind(broker, address, [v1])).toBe('192.0.2.1:56324');
    expect(await addressBehind(broker, address, [v2('ipv4')])).toBe('192.0.2.1:56324');
    expect(await addressBehind(broker, address, [v2('ipv6')])).toBe('[2001:db8::1]:56324');
    const tlvs = Buffer.from('01000468327632200003010000', 'hex');
    expect(await addressBehind(broker, address, [v2('ipv4', tlvs)])).toBe('192.0.2.1:56324');
    // A proxy on its own account: a health check, say.
    expect(await addressBehind(broker, address, [v2('local')])).toMatch(/^127\.0\.0\.1:/);
    expect(await addressBehind(broker, address, [Buffer.from('PROXY UNKNOWN\r\n')])).toMatch(
      /^127\.0\.0\.1:/,
    );
  });

  test('in one segment with CONNECT, and a byte at a time; across threads', async () => {
    const { broker, address } = await start({
      broker: { io_threads: 3 },
      unified: { p: proxied },
    });
    for (const header of [v1, v2('ipv4')]) {
      const bytes = Array.from(header, (byte) => Buffer.from([byte]));
      expect(await addressBehind(broker, address, bytes)).toBe('192.0.2.1:56324');
      const clientId = unique();
      const wire = await Wire.open(address, '3.1.1');
      const connect = connectPacket({ clientId, version: '3.1.1' });
      wire.send(Buffer.concat([header, encode(connect, '3.1.1')]));
      await wire.expect('CONNACK');
      wire.close();
    }
  });

  test('no header, a bad one, another version: ended, counted by cause, nothing answered', async () => {
    const { broker, address } = await start({
      unified: { p: { ...proxied, proxy_protocol: 'v2' } },
    });
    const bad = [
      encode(connectPacket(), '5.0'),
      v1,
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      v2('ipv4').fill(0xff, 12, 14),
    ];
    for (const bytes of bad) {
      const wire = await Wire.open(address, '5.0');
      wire.send(bytes);
      await wire.expectClosed();
    }
    expect(broker.metrics()).toMatchObject({ refused_proxy_header_invalid: bad.length });
    expect(await addressBehind(broker, address, [v2('ipv4')])).toBe('192.0.2.1:56324');
  });

  test('from an address that is not trusted: refused with the reason, and counted', async () => {
    const { broker, address } = await start({
      unified: { p: { ...proxied, trusted_proxies: ['10.0.0.0/8', '2001:db8::/32'] } },
    });
    const refused = new Promise<unknown>((done) => broker.on('refused', done));
    const wire = await Wire.open(address, '5.0');
    wire.send(v1);
    wire.send(connectPacket());
    await wire.expectClosed();
    expect(await refused).toMatchObject({
      cause: 'proxy_header_invalid',
      detail: expect.stringMatching(/trusted_proxies/),
      address: expect.stringMatching(/^127\.0\.0\.1:/),
    });
    expect(broker.metrics()).toMatchObject({ clients_connected_v5: 0 });
  });

  test('a header that does not come ends at the deadline of handshakes', async () => {
    const { broker, address } = await start({
      unified: { p: { ...proxied, handshake_timeout_ms: 150 } },
    });
    const wire = await Wire.open(address, '5.0');
    wire.send(v1.subarray(0, 20));
    await wire.expectClosed();
    expect(broker.metrics()).toMatchObject({ refused_proxy_header_invalid: 1 });
  });

  test('a reload changes versions and proxies, for connections that come then', async () => {
    const tables = (p: object): ConfigTables => ({
      log: { to: 'off' },
      unified: { p: { ...proxied, ...p } },
    });
    const { broker, address } = await start(tables({}));
    expect(await addressBehind(broker, address, [v1])).toBe('192.0.2.1:56324');
    await broker.reload(tables({ proxy_protocol: 'v2' }));
    const wire = await Wire.open(address, '5.0');
    wire.send(v1);
    await wire.expectClosed();
    expect(await addressBehind(broker, address, [v2('ipv6')])).toBe('[2001:db8::1]:56324');
  });
});

describe('X-Forwarded-For', () => {
  const addressOf = async (broker: Broker, address: Address, options: object): Promise<string> => {
    const clientId = unique();
    const told = new Promise<string>((done) => {
      broker.on('connect', (event) => {
        if (event.clientId === clientId) done(event.address);
      });
    });
    const socket = await RawWebSocket.open(address, options);
    socket.send('5.0', connectPacket({ clientId }));
    await socket.expect('CONNACK', '5.0');
    const result = await told;
    socket.close();
    return result;
  };
  const header = (value: string) => ({ headers: { 'X-Forwarded-For': value } });

  test('from a trusted proxy: the rightmost address that is none of the trusted', async () => {
    const trusted_proxies = ['127.0.0.1', '10.0.0.0/8'];
    const { broker, address } = await start({
      ws: { w: { listen: '127.0.0.1:0', trusted_proxies } },
    });
    const named = (value: string) => addressOf(broker, address, header(value));
    expect(await named('192.0.2.7')).toBe('192.0.2.7:0');
    expect(await named('203.0.113.1, 192.0.2.7, 10.1.2.3')).toBe('192.0.2.7:0');
    expect(await named('[2001:db8::9]:4711')).toBe('[2001:db8::9]:4711');
    expect(await named('nonsense')).toMatch(/^127\.0\.0\.1:/);
  });

  test('from anybody else it is not believed', async () => {
    const { broker, address } = await start({ ws: { w: { listen: '127.0.0.1:0' } } });
    expect(await addressOf(broker, address, header('192.0.2.7'))).toMatch(/^127\.0\.0\.1:/);
  });

  test('behind a PROXY header: the proxy it names must be trusted too', async () => {
    const trusted_proxies = ['127.0.0.1', '192.0.2.0/24'];
    const { broker, address } = await start({ ws: { w: { ...proxied, trusted_proxies } } });
    const behind = { ...header('203.0.113.5'), before: v1 };
    expect(await addressOf(broker, address, behind)).toBe('203.0.113.5:0');
    const other = Buffer.from('PROXY TCP4 198.51.100.1 198.51.100.7 4000 80\r\n');
    expect(await addressOf(broker, address, { ...behind, before: other })).toBe(
      '198.51.100.1:4000',
    );
  });
});
