// Signals to a real process under load: reload, reopened and rotated logs, drain, exit codes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import mqttPacket from 'mqtt-packet';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.js';
import { accepts, freePort, standIn } from './broker-process.js';
import { Client } from './mqttjs-client.js';
import { Programs, parseLog, readText } from './programs.js';

const programs = new Programs();
afterEach(() => programs.endAll());
afterAll(() => programs.remove());

const listener = (name: string, port: number) =>
  `[unified.${name}]\nlisten = "127.0.0.1:${port}"\n`;
let folders = 0;
const newFolder = () => join(programs.folder, `logs-${++folders}`);

/** Short connections, some at once, until told to stop. */
function connectAgainAndAgain(port: number) {
  let stopped = false;
  let count = 0;
  const one = async () => {
    while (!stopped) {
      const client = await Client.open(port, 5);
      await client.close();
      count++;
    }
  };
  const all = Promise.all([one(), one(), one()]);
  return {
    count: () => count,
    stop: async () => {
      stopped = true;
      await all;
    },
  };
}

/** Publishes QoS 1 without a pause; remembers what was acknowledged. */
function publishAndRemember(client: Client, topic: string, name = '') {
  const acknowledged: string[] = [];
  // MQTT.js waits for ever where the connection has ended.
  const closed = client.closed().then(() => false);
  const publish = (id: string) =>
    client.publish(topic, id, { qos: 1 }).then(
      () => true,
      () => false,
    );
  const run = async (from: number) => {
    for (let i = from; await Promise.race([publish(`${name}${i}`), closed]); i += 20) {
      acknowledged.push(`${name}${i}`);
    }
  };
  client.mqtt.setMaxListeners(100);
  const done = Promise.all(Array.from({ length: 20 }, (_, i) => run(i)));
  return { acknowledged, done };
}

/**
 * Every packet until the end of the connection. MQTT.js throws away what it has read and not
 * looked at when the connection closes, which is just what counts here.
 */
async function rawSubscriber(port: number, topic: string) {
  const packets: mqttPacket.Packet[] = [];
  const parser = mqttPacket.parser({ protocolVersion: 5 });
  parser.on('packet', (packet) => packets.push(packet));
  const socket = connect(port, '127.0.0.1');
  const closed = once(socket, 'close');
  socket.on('data', (data) => parser.parse(data));
  const send = (packet: mqttPacket.Packet) =>
    socket.write(mqttPacket.generate(packet, { protocolVersion: 5 }));
  send({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clean: true,
    clientId: 'raw',
    keepalive: 0,
  });
  send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] });
  await eventually(() => expect(packets.at(-1)?.cmd).toBe('suback'));
  return {
    all: async () => {
      await closed;
      return packets;
    },
  };
}

describe.skipIf(standIn)('SIGHUP', () => {
  test('adds and removes listeners under load; connections of a removed one stay', async () => {
    const [first, second, third] = [await freePort(), await freePort(), await freePort()];
    const program = await programs.start(listener('a', first) + listener('b', second), second);
    const [stays, onRemoved] = [await Client.open(first, 5), await Client.open(second, 4)];
    await onRemoved.subscribe('news', 1);
    const received: string[] = [];
    onRemoved.mqtt.on('message', (_, payload) => received.push(String(payload)));
    const load = publishAndRemember(stays, 'news');
    program.configure(listener('a', first) + listener('c', third));
    expect(await program.reload()).toMatchObject({
      level: 'info',
      msg: 'configuration reloaded: listeners added: unified-c; listeners removed: unified-b',
    });
    expect(await Promise.all([first, second, third].map((port) => accepts(port)))).toEqual([
      true,
      false,
      true,
    ]);
    const before = load.acknowledged.length;
    await eventually(() => expect(load.acknowledged.length).toBeGreaterThan(before + 20));
    stays.mqtt.end(true);
    await load.done;
    await eventually(() =>
      expect(load.acknowledged.filter((id) => !received.includes(id))).toEqual([]),
    );
    await (await Client.open(third, 5)).close();
    await onRemoved.close();
  });

  test('an invalid configuration changes nothing, and says why', async () => {
    const [first, second] = [await freePort(), await freePort()];
    const program = await programs.start(listener('a', first), first);
    const client = await Client.open(first, 5);
    for (const [text, why] of [
      [`${listener('b', second)}[mqtt]\nmax_qos = 7\n`, /toml:4.*mqtt\.max_qos is 7/],
      [`${listener('b', second)}[mqtt\n`, /toml:3/],
      [
        `${listener('b', second)}[log]\nfilter = "auth=loud"\n`,
        /log filter is wrong at character 6|log\.filter/,
      ],
      [listener('b', second) + listener('c', 1), /cannot listen on 127\.0\.0\.1:1|in use|may not/],
    ] as const) {
      if (process.getuid?.() === 0 && /:1"/.test(text)) continue;
      program.configure(text);
      const line = await program.reload();
      expect(line).toMatchObject({ level: 'error' });
      expect(line.msg).toMatch(why);
      expect(line.msg).toContain('nothing was changed');
      expect(await accepts(second)).toBe(false);
    }
    await client.subscribe('a', 1);
    await client.publish('a', 'still here', { qos: 1 });
    expect((await client.next()).text).toBe('still here');
    await client.close();
  });

  test('limits hold for new connections; what needs a restart is named', async () => {
    const port = await freePort();
    const program = await programs.start(listener('a', port), port);
    const before = await Client.open(port, 5);
    program.configure(
      `${listener('a', port)}[mqtt]\nmax_qos = 0\n[broker]\nclient_id_prefix = "x-"\n`,
    );
    const { msg } = await program.reload();
    expect(msg).toMatch(/for new connections: .*mqtt\.max_qos/);
    expect(msg).toMatch(/after a restart only: broker\.client_id_prefix$/);
    const after = await Client.open(port, 5);
    expect(after.connack?.properties?.maximumQoS).toBe(0);
    expect(before.connack?.properties?.maximumQoS).toBeUndefined();
    await before.publish('a', 'x', { qos: 1 });
    await Promise.all([before.close(), after.close()]);
  });

  test('the log filter changes while it runs', async () => {
    const port = await freePort();
    const program = await programs.start(listener('a', port), port);
    const connects = () =>
      program.log().flatMap(({ msg, clientId }) => (msg === 'client connected' ? [clientId] : []));
    await (await Client.open(port, 5, { clientId: 'unheard' })).close();
    program.configure(`${listener('a', port)}[log]\nfilter = "warn,[client=dev-1]=info"\n`);
    await program.reload();
    for (const clientId of ['dev-2', 'dev-1']) {
      await (await Client.open(port, 5, { clientId })).close();
    }
    await eventually(() => expect(connects()).toEqual(['dev-1']));
    program.configure(`${listener('a', port)}[log]\nlevel = "info"\n`);
    await program.reload();
    await (await Client.open(port, 5, { clientId: 'heard' })).close();
    await eventually(() => expect(connects()).toEqual(['dev-1', 'heard']));
  });

  test('a burst of signals, with connections coming and going, does no harm', async () => {
    const port = await freePort();
    const other = await freePort();
    const program = await programs.start(listener('a', port), port);
    const load = connectAgainAndAgain(port);
    for (let i = 0; i < 20; i++) {
      program.configure(listener('a', port) + (i % 2 === 0 ? listener('b', other) : ''));
      program.child.kill('SIGHUP');
      await sleep(20);
    }
    await load.stop();
    program.configure(listener('a', port) + listener('b', other));
    // Signals that come together may be one; the last one sees the last file.
    await eventually(async () => {
      await program.reload();
      expect(await accepts(other)).toBe(true);
    });
    expect(load.count()).toBeGreaterThan(0);
    expect(program.log().filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe.skipIf(standIn)('log files', () => {
  const toFile = (dir: string, more = '') =>
    `[log]\nto = "file"\nlevel = "info"\ndir = "${dir}"\n${more}`;

  test('are rotated under load, each whole and within its size', async () => {
    const [port, dir] = [await freePort(), newFolder()];
    const rotation = 'rotate_bytes = 8000\nkeep = 3\n';
    const program = await programs.start(toFile(dir, rotation) + listener('a', port), port);
    const load = connectAgainAndAgain(port);
    await eventually(() => expect(existsSync(join(dir, 'st-mqttd.log.3'))).toBe(true));
    await load.stop();
    program.child.kill('SIGTERM');
    expect((await program.exited).code).toBe(0);
    const names = ['st-mqttd.log', 'st-mqttd.log.1', 'st-mqttd.log.2', 'st-mqttd.log.3'];
    expect(readdirSync(dir).sort()).toEqual(names);
    for (const name of names) {
      expect(statSync(join(dir, name)).size).toBeLessThanOrEqual(8000);
      for (const line of parseLog(readText(join(dir, name)))) expect(line.module).toMatch(/./);
    }
    // Nothing goes to the terminal where it was not asked for.
    expect(program.errors()).toBe('');
    // In order over all files.
    const times = names
      .toReversed()
      .flatMap((name) => parseLog(readText(join(dir, name))).map(({ time }) => time));
    expect(times).toEqual(times.toSorted());
  });

  test('SIGUSR1 after a move begins a new one, and no record is lost', async () => {
    const [port, dir] = [await freePort(), newFolder()];
    const program = await programs.start(toFile(dir) + listener('a', port), port);
    const file = join(dir, 'st-mqttd.log');
    await eventually(() => expect(existsSync(file)).toBe(true));
    const ids: string[] = [];
    for (let i = 0; i < 30; i++) {
      const clientId = `client-${i}`;
      ids.push(clientId);
      await (await Client.open(port, 5, { clientId })).close();
      if (i % 10 === 9) {
        await eventually(() => expect(existsSync(file)).toBe(true));
        renameSync(file, join(dir, `moved-${i}`));
        program.child.kill('SIGUSR1');
      }
    }
    program.child.kill('SIGTERM');
    await program.exited;
    const names = ['moved-9', 'moved-19', 'moved-29', 'st-mqttd.log'];
    const lines = names.flatMap((name) => {
      const path = join(dir, name);
      return existsSync(path) ? parseLog(readText(path)) : [];
    });
    const connected = lines.filter(({ msg }) => msg === 'client connected');
    // With several I/O threads their order is that of each thread's records.
    expect(connected.map(({ clientId }) => clientId).sort()).toEqual(ids.sort());
    expect(existsSync(join(dir, 'moved-19'))).toBe(true);
  });

  test('a folder that is gone is made again; a full disk is told on stderr, and serving goes on', async () => {
    const [port, dir] = [await freePort(), newFolder()];
    await programs.start(toFile(dir) + listener('a', port), port);
    await eventually(() => expect(existsSync(dir)).toBe(true));
    rmSync(dir, { recursive: true });
    await eventually(async () => {
      await (await Client.open(port, 5, { clientId: 'again' })).close();
      expect(readText(join(dir, 'st-mqttd.log'))).toContain('again');
    });
    const other = await freePort();
    const full = await programs.start(
      `${toFile('/dev', 'file = "full"\nrotate_bytes = 0\n')}${listener('a', other)}`,
      other,
    );
    await eventually(() => expect(full.errors()).toMatch(/\/dev\/full cannot be written: ENOSPC/));
    const client = await Client.open(other, 5);
    await client.subscribe('a', 1);
    await client.publish('a', 'served', { qos: 1 });
    expect((await client.next()).text).toBe('served');
    await client.close();
    // At a limited rate.
    expect(full.log()).toHaveLength(1);
    full.child.kill('SIGTERM');
    expect((await full.exited).code).toBe(0);
  });

  test('a reader of stderr that does not read stops neither traffic nor the end', async () => {
    const port = await freePort();
    const program = join(import.meta.dirname, '../../dist/cli/main.js');
    const args = ['-vvv', '--listen', `127.0.0.1:${port}`];
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exited = once(child, 'exit');
    try {
      await eventually(async () => expect(await accepts(port)).toBe(true));
      // More than a pipe holds.
      const client = await Client.open(port, 5, { clientId: 'x'.repeat(200) });
      for (let i = 0; i < 150; i++) {
        await (await Client.open(port, 5, { clientId: `${i}${'y'.repeat(200)}` })).close();
      }
      await client.subscribe('a', 1);
      await client.publish('a', 'x', { qos: 1 });
      expect((await client.next()).text).toBe('x');
      child.kill('SIGTERM');
      expect((await exited)[0]).toBe(0);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe.skipIf(standIn)('the end', () => {
  test('every acknowledged QoS 1 message has been delivered, and the port is free at once', async () => {
    const port = await freePort();
    for (let run = 0; run < 2; run++) {
      const program = await programs.start(listener('a', port), port);
      const subscriber = await rawSubscriber(port, 'load');
      const loads = await Promise.all(
        ['p', 'q'].map(async (name) =>
          publishAndRemember(await Client.open(port, 5), 'load', name),
        ),
      );
      await eventually(() => {
        for (const { acknowledged } of loads) expect(acknowledged.length).toBeGreaterThan(200);
      });
      program.child.kill('SIGTERM');
      expect(await program.exited).toEqual({ code: 0, signal: null });
      await Promise.all(loads.map(({ done }) => done));
      const packets = await subscriber.all();
      const received = new Set(
        packets.map((packet) => (packet.cmd === 'publish' ? String(packet.payload) : '')),
      );
      for (const { acknowledged } of loads) {
        expect(acknowledged.filter((id) => !received.has(id))).toEqual([]);
      }
      expect(packets.at(-1)).toMatchObject({ cmd: 'disconnect', reasonCode: 0x8b });
    }
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('a second %s exits at once, with %d', async (signal, code) => {
    const port = await freePort();
    const program = await programs.start(
      `[broker]\ndrain_timeout_ms = 60000\n${listener('a', port)}`,
      port,
    );
    // A peer that reads nothing, with much to read: its queue cannot be flushed.
    const stuck = connect(port, '127.0.0.1');
    stuck.on('error', () => {});
    stuck.pause();
    stuck.write(Buffer.from('101200044d5154540502003c000005737475636b', 'hex'));
    stuck.write(Buffer.from('820700010000016100', 'hex'));
    await sleep(100);
    const publisher = await Client.open(port, 5);
    for (let i = 0; i < 40; i++) await publisher.publish('a', Buffer.alloc(500_000), { qos: 1 });
    program.child.kill(signal);
    await eventually(async () => expect(await accepts(port)).toBe(false));
    expect(program.child.exitCode).toBeNull();
    program.child.kill(signal);
    expect((await program.exited).code).toBe(code);
    stuck.destroy();
  });
});
