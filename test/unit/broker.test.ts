// The broker's life cycle on a fake native half: order, failures, what crosses and what does not.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { ConfigTables } from '../../src/config/options.ts';
import { EventKind } from '../../src/native/contract.ts';
import { listener, make, turn } from './brokers.ts';
import { serveLinks } from './fake-native.ts';

describe('start', () => {
  test('listeners first, then the threads, then the event', async () => {
    const { addon, broker } = make({
      unified: { a: { listen: ['127.0.0.1:2000', '[::1]:2001'], unix: '/tmp/x.sock' } },
    });
    const heard: unknown[] = [];
    broker.on('listening', (addresses) => heard.push(addresses.map(({ text }) => text)));
    expect(broker.addresses).toEqual([]);
    expect(broker.address()).toBeNull();
    const starting = broker.start();
    expect(broker.start()).toBe(starting);
    await starting;
    expect(addon.broker.calls).toEqual([
      'listen 127.0.0.1',
      'listen ::1',
      'listen /tmp/x.sock',
      'start',
    ]);
    expect(heard).toEqual([['127.0.0.1:2000', '[::1]:2001', 'unix:/tmp/x.sock']]);
    expect(broker.address()).toEqual({ address: '127.0.0.1', family: 'IPv4', port: 2000 });
    await broker.stop();
    expect(broker.addresses).toEqual([]);
  });

  test('options reach the native half', async () => {
    const { addon, broker } = make({
      ...listener,
      mqtt: { max_qos: 1, max_packet_size: 1000, connection_timeout_ms: 55 },
      broker: { io_threads: 3, max_connections: 7, max_memory_bytes: 0 },
      router: { shared_subscriptions_strategy: 'sticky' },
      v4: { two: { listen: '127.0.0.1:2001', max_connections: 5 } },
    });
    await broker.start();
    const { options, listens } = addon.broker;
    expect(options).toMatchObject({
      io_threads: 3,
      max_connections: 7,
      max_memory_bytes: 0,
      shared_strategy: 'sticky',
      store: { kind: 'memory' },
      authenticate: false,
      log_level: 2,
      link_limits: { max_qos: 1, max_packet_size: 268_435_460 },
    });
    expect(listens).toMatchObject([
      { port: 2001, protocol_levels: 3, limits: { max_qos: 1, max_connections: 5 } },
      {
        port: 2000,
        protocol_levels: 7,
        limits: { max_packet_size: 1000, connect_timeout_ms: 55, max_connections: 0 },
      },
    ]);
    expect(Object.keys(listens[0]?.limits ?? {})).not.toContain('accept_versions');
    await broker.stop();
  });

  test.each([
    ['EADDRINUSE', 'cannot listen on 127.0.0.1:2000: the address is in use; '],
    ['EACCES', 'cannot listen on 127.0.0.1:2000: this user may not; '],
    ['EADDRNOTAVAIL', 'cannot listen on 127.0.0.1:2000: this machine has no such address; '],
    ['EIO', 'cannot listen on 127.0.0.1:2000: EIO: bind EIO; '],
  ])(
    '%s: one line that names the address; nothing is left open; it can start later',
    async (code, message) => {
      const { addon, broker } = make();
      addon.prepare = (native) => native.listenErrors.set('127.0.0.1', code);
      await expect(broker.start()).rejects.toMatchObject({
        code: 'ST_LISTEN',
        message: expect.stringContaining(message),
        cause: { code },
      });
      expect(addon.broker.calls).toEqual(['stop']);
      await broker.stop();
      addon.prepare = () => {};
      await broker.start();
      expect(addon.brokers).toHaveLength(2);
      await broker.stop();
    },
  );

  test('a later listener that fails closes the first', async () => {
    const { addon, broker } = make({ unified: { a: { listen: ['127.0.0.1:1', '127.0.0.2:1'] } } });
    addon.prepare = (native) => native.listenErrors.set('127.0.0.2', 'EADDRINUSE');
    await expect(broker.start()).rejects.toMatchObject({ code: 'ST_LISTEN' });
    expect(addon.broker.calls).toEqual(['listen 127.0.0.1', 'unlisten 1', 'stop']);
  });

  test('by default on loopback, where IPv6 may be missing; a missing 127.0.0.1 is an error', async () => {
    const { addon, broker } = make({});
    addon.prepare = (native) => native.listenErrors.set('::1', 'EADDRNOTAVAIL');
    await broker.start();
    expect(broker.addresses.map(({ text }) => text)).toEqual(['127.0.0.1:1883']);
    await broker.stop();
    addon.prepare = (native) => native.listenErrors.set('::1', 'EADDRINUSE');
    await expect(broker.start()).rejects.toMatchObject({
      message: expect.stringContaining('[::1]:1883'),
    });
  });

  test('a name is resolved; "any port" is one port for all its addresses', async () => {
    const { addon, broker } = make({ unified: { a: { listen: 'localhost:0' } } });
    await broker.start();
    expect(addon.broker.listens.length).toBeGreaterThan(0);
    for (const { port } of broker.addresses) expect(port).toBe(40_000);
    await broker.stop();
    const unknown = make({ unified: { a: { listen: 'no-such-host.invalid:1' } } });
    await expect(unknown.broker.start()).rejects.toMatchObject({ code: 'ST_RESOLVE' });
  });

  test('a bad value throws at once; a file is read by start()', async () => {
    expect(() => make({ mqtt: { max_qos: 5 } })).toThrow('mqtt.max_qos is 5');
    const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-broker-'));
    const config = join(folder, 'x.toml');
    const { addon, broker } = make({ config });
    await expect(broker.start()).rejects.toMatchObject({ code: 'ST_CONFIG_READ' });
    expect(addon.brokers).toHaveLength(0);
    writeFileSync(config, 'id = 4\n[v5.1]\nlisten = "127.0.0.1:3000"\n');
    await broker.start();
    expect(broker.id).toBe(4);
    expect(addon.broker.listens).toMatchObject([{ port: 3000, protocol_levels: 4, name: 'v5-1' }]);
    await broker.stop();
  });
});

describe('stop', () => {
  test('drains, joins, and is done once', async () => {
    const { addon, broker } = make();
    await broker.start();
    const stopping = broker.stop({ timeoutMs: 1234 });
    expect(broker.stop()).toBe(stopping);
    await stopping;
    expect(addon.broker.sent('drain')).toMatchObject([{ fields: { deadline_ms: 1234n } }]);
    expect(addon.broker.calls.at(-1)).toBe('stop');
    expect(addon.broker.calls.filter((call) => call === 'stop')).toHaveLength(1);
    expect(broker.metrics().connections_closed).toBe(1);
  });

  test('threads that do not answer are joined after the deadline, and that is said', async () => {
    const { addon, broker } = make();
    addon.prepare = (native) => {
      native.drains = false;
    };
    const records: string[] = [];
    broker.on('log', ({ text }) => records.push(text));
    await broker.start();
    const before = performance.now();
    await broker.stop({ timeoutMs: 10 });
    expect(performance.now() - before).toBeLessThan(4000);
    expect(addon.broker.calls.at(-1)).toBe('stop');
    expect(records.join()).toContain('did not answer in 10 ms');
  });

  test('before start, during it and after a failure', async () => {
    const { addon, broker } = make();
    await broker.stop();
    expect(addon.brokers).toHaveLength(0);
    const starting = broker.start();
    await broker.stop();
    await starting;
    expect(addon.broker.calls.at(-1)).toBe('stop');
    await expect(broker.link()).rejects.toMatchObject({ code: 'ST_BROKER_STATE' });
  });

  test('a stopped broker starts again, with new threads', async () => {
    const { addon, broker } = make();
    await broker.start();
    await broker.stop();
    await broker.start();
    expect(addon.brokers).toHaveLength(2);
    expect(broker.addresses).toHaveLength(1);
    await broker.stop();
  });

  test('starting while it stops is refused', async () => {
    const { broker } = make();
    await broker.start();
    const stopping = broker.stop();
    await expect(broker.start()).rejects.toMatchObject({ code: 'ST_BROKER_STATE' });
    await stopping;
  });

  test('events that are left when the threads are joined are still delivered', async () => {
    const { addon, broker } = make();
    const causes: string[] = [];
    broker.on('disconnect', ({ cause }) => causes.push(cause));
    await broker.start();
    const native = addon.broker;
    const { stop } = native;
    native.stop = () => {
      native.emit('disconnected', { cause: 15 });
      stop.call(native);
    };
    await broker.stop();
    expect(causes).toEqual(['shutting_down']);
  });
});

describe('events', () => {
  test('of clients, with the names of listeners', async () => {
    const { addon, broker } = make();
    const heard: unknown[] = [];
    broker.on('connect', (client) => heard.push(['connect', client]));
    broker.on('disconnect', (client) => heard.push(['disconnect', client]));
    broker.on('refused', (attempt) => heard.push(['refused', attempt]));
    broker.on('sessionEnd', (session) => heard.push(['sessionEnd', session]));
    broker.on('alert', (alert) => heard.push(['alert', alert]));
    await broker.start();
    const native = addon.broker;
    const who = { client_id: 'c', address: '1.2.3.4:5' };
    native.emit('connected', {
      ...who,
      connection_id: 5,
      listener_id: 1,
      protocol_level: 5,
      flags: 1,
    });
    native.emit('connected', { client_id: 'l', connection_id: 6, protocol_level: 5, flags: 32 });
    native.emit('disconnected', { ...who, connection_id: 5, cause: 4, reason_code: 0x8d });
    native.emit('refused', {
      ...who,
      listener_id: 1,
      cause: 10,
      reason_code: 0x87,
      protocol_level: 3,
    });
    native.emit('session_ended', { client_id: 'c', cause: 1 });
    native.emit('alert', { client_id: 'c', alert: 1, count: 3 });
    await turn();
    expect(heard).toMatchObject([
      [
        'connect',
        { clientId: 'c', listener: 'unified-one', username: undefined, cleanStart: true },
      ],
      ['connect', { clientId: 'l', listener: undefined, address: 'link' }],
      ['disconnect', { clientId: 'c', cause: 'keep_alive_timeout', reasonCode: 0x8d }],
      [
        'refused',
        { clientId: 'c', listener: 'unified-one', protocolVersion: '3.1', reasonCode: 0x87 },
      ],
      ['sessionEnd', { clientId: 'c', cause: 'expired' }],
      ['alert', { alert: 'queue_overflow', count: 3, clientId: 'c' }],
    ]);
    await broker.stop();
  });

  test("a listener that throws is the application's uncaught exception and costs no other event", async () => {
    const { addon, broker } = make();
    const thrown: unknown[] = [];
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => thrown.push(error));
    const heard: string[] = [];
    broker.on('connect', ({ clientId }) => {
      heard.push(clientId);
      if (clientId === 'a') throw new Error('mine');
    });
    await broker.start();
    for (const client_id of ['a', 'b'])
      addon.broker.emit('connected', { client_id, protocol_level: 5 });
    await turn();
    for (const other of before) process.on('uncaughtException', other);
    expect(heard).toEqual(['a', 'b']);
    expect(thrown).toMatchObject([{ message: 'mine' }]);
    await broker.stop();
  });

  test('the command line has events cross only where they are logged', async () => {
    const wants = async (level: 'warn' | 'info', logsOnly: boolean) => {
      const { addon, broker } = make({ ...listener, log: { to: 'off', level } }, { logsOnly });
      await broker.start();
      await broker.stop();
      return (addon.broker.options.event_mask & (1 << EventKind.session_ended)) !== 0;
    };
    expect(await wants('warn', true)).toBe(false);
    expect(await wants('info', true)).toBe(true);
    expect(await wants('warn', false)).toBe(true);
  });

  test('"log" events have the configured level; a notice has none', async () => {
    const seen = async (log: ConfigTables['log']) => {
      const { addon, broker } = make({ ...listener, log });
      const records: string[] = [];
      broker.on('log', ({ level, text }) => records.push(`${level}: ${text}`));
      await broker.start();
      addon.broker.emit('connected', { client_id: 'c', protocol_level: 5 });
      addon.broker.emit('log', { level: 1, text: 'bad' });
      await turn();
      await broker.stop();
      return records;
    };
    expect(await seen({})).toEqual(['notice: listening on 127.0.0.1:2000', 'error: bad']);
    expect(await seen({ level: 'info' })).toEqual([
      'notice: listening on 127.0.0.1:2000',
      'info: client connected',
      'error: bad',
    ]);
  });
});

test('disconnectClient', async () => {
  const { addon, broker } = make();
  expect(() => broker.disconnectClient('x')).toThrow('the broker is not started');
  await broker.start();
  broker.disconnectClient('x');
  broker.disconnectClient('y', { reasonCode: 0x8b, reason: 'bye' });
  expect(() => broker.disconnectClient('x', { reasonCode: 1 })).toThrow('reasonCode is 1');
  for (const text of ['x'.repeat(65_536), 'a\0b']) {
    expect(() => broker.disconnectClient(text)).toThrow('clientId');
    expect(() => broker.disconnectClient('x', { reason: text })).toThrow('reason');
  }
  await turn();
  expect(addon.broker.sent('disconnect')).toMatchObject([
    { fields: { reason_code: 0x98n } },
    { fields: { reason_code: 0x8bn } },
  ]);
  expect(addon.broker.sent('disconnect')[1]?.strings.map(String)).toEqual(['y', 'bye']);
  await broker.stop();
});

test('metrics() while it runs', async () => {
  const { broker } = make();
  expect(broker.metrics().takeovers).toBe(0);
  await broker.start();
  expect(broker.metrics()).toMatchObject({ connections_accepted: 0, connections_closed: 1 });
  await broker.stop();
});

test('log records go to the stream as JSON, warnings of the configuration first', async () => {
  const logStream = new PassThrough();
  const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-broker-'));
  const config = join(folder, 'x.toml');
  writeFileSync(
    config,
    '[v5.1]\nlisten = "127.0.0.1:1"\n[mqtt]\nmax_qso = 1\n[log]\nto = "console"\n',
  );
  const { broker } = make({ config }, { logStream });
  await broker.start();
  await broker.stop();
  const lines = String(logStream.read())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toMatchObject([
    { level: 'warn', broker: 0, msg: expect.stringContaining('did you mean "max_qos"?') },
    { level: 'info', msg: 'listening on 127.0.0.1:1', listener: 'v5-1' },
  ]);
});

test('two brokers in one process have nothing in common', async () => {
  const one = make();
  const two = make({ unified: { b: { listen: '127.0.0.1:2001' } } });
  for (const { addon } of [one, two]) addon.prepare = (native) => serveLinks(native);
  await Promise.all([one.broker.start(), two.broker.start()]);
  const [a, b] = await Promise.all([one.broker.link(), two.broker.link()]);
  await one.broker.stop();
  expect(a.isOpen).toBe(false);
  expect(b.isOpen).toBe(true);
  await two.broker.stop();
  expect(b.isOpen).toBe(false);
});
