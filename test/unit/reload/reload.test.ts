// Broker.reload() on a fake native half: what is opened, closed, applied and told; all or nothing.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { ConfigTables } from '../../../src/config/options.ts';
import type { LogRecord } from '../../../src/log/logger.ts';
import { LogLevel } from '../../../src/native/contract.ts';
import { eventBit } from '../../../src/native/events.ts';
import { make } from '../brokers.ts';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-reload-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const at = (...listen: string[]): ConfigTables => ({ unified: { a: { listen } } });

async function running(options: ConfigTables, internals = {}) {
  const { addon, broker } = make(options, internals);
  const records: LogRecord[] = [];
  broker.on('log', (record) => records.push(record));
  await broker.start();
  const native = addon.broker;
  native.calls.length = 0;
  const sockets = () => native.calls.filter((call) => /listen/.test(call));
  const addresses = () => broker.addresses.map(({ listener, text }) => `${listener} ${text}`);
  return { broker, native, records, sockets, addresses };
}

describe('listeners', () => {
  test('one is added, one is removed, one stays as it is', async () => {
    const { broker, sockets, addresses } = await running({
      unified: { a: { listen: '127.0.0.1:1' }, b: { listen: '127.0.0.2:1' } },
    });
    const report = await broker.reload({
      unified: { a: { listen: '127.0.0.1:1' } },
      v5: { c: { listen: ['127.0.0.3:1', '127.0.0.4:1'] } },
    });
    // What is new is bound before anything is closed.
    expect(sockets()).toEqual(['listen 127.0.0.3', 'listen 127.0.0.4', 'unlisten 2']);
    expect(addresses()).toEqual(['unified-a 127.0.0.1:1', 'v5-c 127.0.0.3:1', 'v5-c 127.0.0.4:1']);
    expect(report).toMatchObject({
      listenersAdded: ['v5-c'],
      listenersRemoved: ['unified-b'],
      listenersChanged: [],
      restart: [],
    });
    await broker.stop();
  });

  test('a changed address is added and removed; its neighbour of the same listener stays', async () => {
    const { broker, sockets, addresses } = await running(at('127.0.0.1:1', '127.0.0.2:1'));
    const report = await broker.reload(at('127.0.0.1:1', '127.0.0.3:1'));
    expect(sockets()).toEqual(['listen 127.0.0.3', 'unlisten 2']);
    expect(addresses()).toEqual(['unified-a 127.0.0.1:1', 'unified-a 127.0.0.3:1']);
    expect(report.listenersChanged).toEqual(['unified-a']);
    await broker.stop();
  });

  test('a Unix socket comes and goes', async () => {
    const { broker, sockets } = await running({ unified: { a: { listen: '127.0.0.1:1' } } });
    await broker.reload({ unified: { a: { listen: '127.0.0.1:1', unix: '/tmp/a.sock' } } });
    await broker.reload({ unified: { a: { listen: '127.0.0.1:1', unix: '/tmp/b.sock' } } });
    await broker.reload({ unified: { a: { unix: '/tmp/b.sock' } } });
    expect(sockets()).toEqual([
      'listen /tmp/a.sock',
      'listen /tmp/b.sock',
      'unlisten 2',
      'unlisten 1',
    ]);
    await broker.stop();
  });

  test('what its socket carries has changed: it is opened again', async () => {
    const { broker, native, sockets, addresses } = await running(at('127.0.0.1:1'));
    await broker.reload({
      unified: {
        a: { listen: '127.0.0.1:1', name: 'new', connections: { accept_versions: ['5.0'] } },
      },
    });
    expect(sockets()).toEqual(['unlisten 1', 'listen 127.0.0.1']);
    expect(native.listens.at(-1)).toMatchObject({ name: 'new', protocol_levels: 4 });
    expect(addresses()).toEqual(['new 127.0.0.1:1']);
    await broker.stop();
  });

  test('limits are told for new connections, of every address and of links', async () => {
    const { broker, native, sockets } = await running(at('127.0.0.1:1', '127.0.0.2:1'));
    const report = await broker.reload({
      ...at('127.0.0.1:1', '127.0.0.2:1'),
      mqtt: { max_qos: 1 },
    });
    expect(sockets()).toEqual([]);
    for (const id of [0, 1, 2]) expect(native.limits.get(id)?.max_qos).toBe(1);
    expect(report.newConnections.map(({ key }) => key)).toContain('mqtt.max_qos');
    await broker.stop();
  });

  test.each([
    ['at the first', '127.0.0.8', 'x'],
    ['after others', '127.0.0.9', 'y'],
  ])('one that cannot be bound, %s: everything is as it was', async (_, busy, name) => {
    const { broker, native, records, sockets, addresses } = await running({
      ...at('127.0.0.1:1'),
      log: { level: 'warn' },
    });
    const config = broker.config;
    native.listenErrors.set(busy, 'EADDRINUSE');
    const wanted: ConfigTables = {
      v5: { x: { listen: '127.0.0.8:1' }, y: { listen: '127.0.0.9:1' } },
      mqtt: { max_qos: 1 },
      log: { level: 'debug' },
    };
    await expect(broker.reload(wanted)).rejects.toMatchObject({ code: 'ST_LISTEN' });
    expect(addresses()).toEqual(['unified-a 127.0.0.1:1']);
    // Whatever was opened is closed, and nothing that was open.
    const opened = sockets().filter((call) => call.startsWith('listen')).length;
    expect(sockets().filter((call) => call.startsWith('unlisten'))).toHaveLength(opened);
    expect(sockets()).not.toContain('unlisten 1');
    expect(native.limits.size).toBe(0);
    expect(broker.config).toBe(config);
    expect(broker.logFilter).toBe('warn');
    expect(records.at(-1)).toMatchObject({
      level: 'error',
      module: 'reload',
      text: `reloading the configuration: the options of new Broker(): v5.${name}.listen: cannot listen on ${busy}:1: the address is in use; stop the program that has it, or choose another port; nothing was changed`,
    });
    // The next one is compared with what is in force.
    native.listenErrors.clear();
    expect((await broker.reload(wanted)).listenersAdded).toEqual(['v5-x', 'v5-y']);
    await broker.stop();
  });

  test('one that was closed to be opened again, and then another fails: it is open again as it was', async () => {
    const { broker, native, addresses } = await running({
      unified: { a: { listen: '127.0.0.1:1' }, b: { listen: '127.0.0.2:1' } },
    });
    const { listen } = native;
    native.listen = (spec) => {
      if (spec.name === 'bad') throw Object.assign(new Error('x'), { code: 'EADDRINUSE' });
      return listen.call(native, spec);
    };
    await expect(
      broker.reload({
        unified: {
          a: { listen: '127.0.0.1:1', name: 'good' },
          b: { listen: '127.0.0.2:1', name: 'bad' },
        },
      }),
    ).rejects.toMatchObject({ code: 'ST_LISTEN' });
    expect(addresses()).toEqual(['unified-a 127.0.0.1:1', 'unified-b 127.0.0.2:1']);
    expect(native.listens.slice(-2).map(({ name }) => name)).toEqual(['unified-a', 'unified-b']);
    await broker.stop();
  });
});

describe('values', () => {
  test('live ones are applied, others are told, again and again until the restart', async () => {
    const { broker, native } = await running({ ...at('127.0.0.1:1'), broker: { io_threads: 1 } });
    const next: ConfigTables = {
      ...at('127.0.0.1:1'),
      broker: { io_threads: 2, drain_timeout_ms: 7, max_connections: 9 },
    };
    const first = await broker.reload(next);
    expect(first.live.map(({ key }) => key)).toContain('broker.drain_timeout_ms');
    expect(first.restart).toEqual([{ key: 'broker.io_threads', from: 1, to: 2 }]);
    expect(native.live).toMatchObject({ max_connections: 9 });
    const again = await broker.reload(next);
    expect(again.live).toEqual([]);
    expect(again.restart).toEqual(first.restart);
    await broker.stop();
    expect(native.sent('drain')).toMatchObject([{ fields: { deadline_ms: 7n } }]);
  });

  test('the report is logged as one line', async () => {
    const { broker, records } = await running(at('127.0.0.1:1'));
    await broker.reload();
    await broker.reload({
      ...at('127.0.0.2:1'),
      mqtt: { max_qos: 1 },
      broker: { io_threads: 2, drain_timeout_ms: 7 },
    });
    expect(records.filter(({ module }) => module === 'reload').map(({ text }) => text)).toEqual([
      'configuration reloaded: nothing has changed',
      expect.stringMatching(
        /^configuration reloaded: in effect: broker\.drain_timeout_ms; for new connections: mqtt\.max_qos.*; listeners changed: unified-a; after a restart only: broker\.io_threads$/,
      ),
    ]);
    await broker.stop();
  });

  test('a wrong value, a wrong log filter: nothing changes', async () => {
    const { broker, native, records } = await running(at('127.0.0.1:1'));
    for (const [wrong, code] of [
      [{ mqtt: { max_qos: 9 } }, 'ST_CONFIG_VALUE'],
      [{ log: { filter: 'auth=loud' }, mqtt: { max_qos: 1 } }, 'ST_LOG_FILTER'],
    ] as const) {
      const reloading = broker.reload({ ...at('127.0.0.2:1'), ...wrong });
      await expect(reloading).rejects.toMatchObject({ code });
      expect(records.at(-1)?.text).toContain('nothing was changed');
    }
    expect(native.calls).toEqual([]);
    await broker.stop();
  });

  test('two at once are done one after the other', async () => {
    const { broker, addresses } = await running(at('127.0.0.1:1'));
    await Promise.all([broker.reload(at('127.0.0.2:1')), broker.reload(at('127.0.0.3:1'))]);
    expect(addresses()).toEqual(['unified-a 127.0.0.3:1']);
    await broker.stop();
  });

  test('a file is read again; warnings are told', async () => {
    const config = join(folder, 'x.toml');
    writeFileSync(config, '[v5.1]\nlisten = "127.0.0.1:1"\n');
    const { addon, broker } = make({ config });
    await broker.start();
    writeFileSync(config, '[v5.1]\nlisten = "127.0.0.1:2"\n[mqtt]\nmax_qso = 1\n');
    expect((await broker.reload()).warnings).toEqual([expect.stringContaining('max_qso')]);
    expect(broker.addresses.map(({ text }) => text)).toEqual(['127.0.0.1:2']);
    writeFileSync(config, '[v5.1\n');
    await expect(broker.reload()).rejects.toMatchObject({ code: 'ST_CONFIG_SYNTAX' });
    expect(broker.addresses.map(({ text }) => text)).toEqual(['127.0.0.1:2']);
    expect(addon.brokers).toHaveLength(1);
    await broker.stop();
  });

  test('not while it does not run', async () => {
    const { broker } = make(at('127.0.0.1:1'));
    await expect(broker.reload()).rejects.toMatchObject({ code: 'ST_BROKER_STATE' });
    await broker.start();
    const stopping = broker.stop();
    await expect(broker.reload()).rejects.toMatchObject({ code: 'ST_BROKER_STATE' });
    await stopping;
  });
});

describe('the log filter', () => {
  test('tells the native half what to send', async () => {
    const { broker, native } = await running(
      { ...at('127.0.0.1:1'), log: { to: 'off' } },
      {
        logsOnly: true,
      },
    );
    const connected = eventBit('connected');
    expect(native.options.event_mask & connected).toBe(0);
    broker.setLogFilter('warn,[client=dev-1]=debug');
    expect(native.live).toMatchObject({
      log_level: LogLevel.warn,
      log_clients: [['dev-1', LogLevel.debug]],
    });
    expect((native.live?.event_mask ?? 0) & connected).toBe(connected);
    expect(broker.logFilter).toBe('warn,[client=dev-1]=debug');
    broker.setLogFilter('error,auth=trace');
    expect(native.live).toMatchObject({
      log_level: LogLevel.error,
      log_modules: { auth: LogLevel.trace },
      log_clients: [],
    });
    expect((native.live?.event_mask ?? 0) & connected).toBe(0);
    expect(() => broker.setLogFilter('=')).toThrow(
      expect.objectContaining({ code: 'ST_LOG_FILTER' }),
    );
    expect(broker.logFilter).toBe('error,auth=trace');
    await broker.stop();
  });

  test('decides which records listeners of "log" hear', async () => {
    const { broker, native, records } = await running(at('127.0.0.1:1'));
    records.length = 0;
    broker.setLogFilter('off,[client=dev-1]=info');
    for (const client_id of ['dev-1', 'dev-2']) {
      native.emit('connected', { client_id, protocol_level: 5 });
    }
    await new Promise((done) => setTimeout(done, 20));
    expect(records).toMatchObject([{ text: 'client connected', fields: { clientId: 'dev-1' } }]);
    await broker.stop();
  });
});

test('ready: while it listens, and not from the moment it is told to stop', async () => {
  const { broker } = make(at('127.0.0.1:1'));
  expect(broker.ready).toBe(false);
  const starting = broker.start();
  expect(broker.ready).toBe(false);
  await starting;
  expect(broker.ready).toBe(true);
  const stopping = broker.stop();
  expect(broker.ready).toBe(false);
  await stopping;
  expect(broker.ready).toBe(false);
});
