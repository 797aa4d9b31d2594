// ST-RMQTT's reference configuration, as it is and with a variation of every key: what each of them
// does, in a process of its own. docs/OPTIONS.md names these tests by their titles.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.js';
import { accepts, freePort, launch, standIn } from './broker-process.js';
import { Client, type Version } from './mqttjs-client.js';
import { Programs, readText } from './programs.js';
import {
  checkFile,
  closeSockets,
  fixture,
  into,
  kSubscribe,
  raw,
  rawClient,
  reference,
  warnings,
} from './st-rmqtt-reference.js';
import { tlsFiles } from './tls-files.js';

const programs = new Programs();
afterEach(async () => {
  closeSockets();
  await programs.endAll();
});
afterAll(() => programs.remove());

async function start(change?: (text: string) => string, args: readonly string[] = []) {
  const { ports, text } = await reference(change);
  const program = await programs.start(text, ports.v4, args);
  // The last of its listeners says so when all are open.
  await eventually(() =>
    expect(program.log().some(({ msg }) => msg.includes(`:${ports.v5}`))).toBe(true),
  );
  return { ports, program };
}

function write(text: string): string {
  const file = resolve(programs.folder, `${randomUUID()}.toml`);
  writeFileSync(file, text);
  return file;
}

/** What `st-mqttd check` ends with. */
async function check(change: (text: string) => string) {
  const { text } = await reference(change);
  return checkFile(write(text));
}

describe.skipIf(standIn)("ST-RMQTT's reference configuration", () => {
  test('as it is, to the letter', async ({ skip }) => {
    for (const port of [1883, 1884, 8083, 3030, 9042])
      if (await accepts(port)) skip(`${port} is in use`);
    const program = await programs.start(readText(fixture), 1884);
    const [old, modern] = [await Client.open(1883, 4), await Client.open(1884, 5)];
    await old.subscribe('a/+', 1);
    await modern.publish('a/b', 'through', { qos: 1 });
    expect((await old.next()).text).toBe('through');
    await Promise.all([old.close(), modern.close()]);
    program.child.kill('SIGTERM');
    expect((await program.exited).code).toBe(0);
  });

  test('id is in each log record', async () => {
    const { program } = await start((text) => text.replace('id = 0', 'id = 7'));
    expect(program.log().length).toBeGreaterThan(1);
    for (const line of program.log()) expect(line).toMatchObject({ broker: 7 });
  });

  test('router.id and the dead keys warn once each', async () => {
    const dead = 'max_client_id_len = 1\nthrottle_delay_ms = 1\nmax_inflight_size = 1\nbacklog = 1';
    const more = `${dead}\ntimeout_delay = 1\ninstant_ack = true\nmax_read_len = 1`;
    const { program } = await start((text) =>
      into('v5.1.connections', more)(into('v4.1.connections', dead)(text)),
    );
    const said = warnings(program).filter((msg) => msg.includes('has no effect, as in rumqttd'));
    expect(said.map((msg) => /: (\S+): has/.exec(msg)?.[1]).sort()).toEqual([
      'router.id',
      'v4.1.connections.backlog',
      'v4.1.connections.max_client_id_len',
      'v4.1.connections.max_inflight_size',
      'v4.1.connections.throttle_delay_ms',
      'v5.1.connections.instant_ack',
      'v5.1.connections.max_read_len',
      'v5.1.connections.timeout_delay',
    ]);
  });

  test('router.max_connections bounds connections in all', async () => {
    const { ports } = await start((text) => text.replace('10010', '2'));
    const first = await Client.open(ports.v4, 4);
    // The connections that looked whether the ports are open have to be gone first.
    const second = await eventually(() => Client.open(ports.v5, 5));
    await expect(Client.open(ports.v4, 4)).rejects.toThrow();
    await first.close();
    await eventually(async () => (await Client.open(ports.v4, 4)).close());
    await second.close();
  });

  // With several threads the two are read at the same time anyway.
  const isOneThread = Number(process.env.ST_MQTTD_BROKER__IO_THREADS ?? 1) === 1;
  test.runIf(isOneThread)('router.max_outgoing_packet_count lets clients take turns', async () => {
    const kBurst = 20_000;
    const turns = async (count: number) => {
      const { ports, program } = await start((text) =>
        text.replace('max_outgoing_packet_count = 200', `max_outgoing_packet_count = ${count}`),
      );
      const subscriber = await rawClient(ports.v4, 'subscriber');
      let got = Buffer.alloc(0);
      subscriber.on('data', (data: Buffer) => {
        got = Buffer.concat([got, data]);
      });
      subscriber.write(kSubscribe(0));
      await eventually(() => expect(got.length).toBe(5));
      const [a, b] = [await rawClient(ports.v4, 'a'), await rawClient(ports.v4, 'b')];
      const publish = (payload: string) =>
        Buffer.from([0x30, 4, 0, 1, 0x74, payload.charCodeAt(0)]);
      const burst = (payload: string) =>
        Buffer.concat(Array.from({ length: kBurst }, () => publish(payload)));
      // It sleeps until both are there: how they are read is what counts.
      program.child.kill('SIGSTOP');
      for (const [socket, payload] of [
        [a, 'a'],
        [b, 'b'],
      ] as const) {
        await new Promise<void>((done) => socket.write(burst(payload), () => done()));
      }
      program.child.kill('SIGCONT');
      const end = 5 + 2 * kBurst * 6;
      await eventually(() => expect(got.length).toBe(end));
      let changes = 0;
      for (let at = 5 + 6; at < end; at += 6) if (got[at + 5] !== got[at - 1]) changes++;
      await programs.endAll();
      return changes;
    };
    // 0 = all that a read brought, at most 256 KiB.
    expect(await turns(0)).toBeLessThan(200);
    expect(await turns(20)).toBeGreaterThan(400);
  });

  test('segments bound the logs of their filters, and initialized filters have one', async () => {
    const custom = "[router.custom_segment.'/office/+/devices/status']\nmax_segment_size = 1024";
    const { ports, program } = await start((text) =>
      into(
        'router',
        'initialized_filters = ["a/b"]',
      )(text).replace('[v4.1]\n', `${custom}\nmax_segment_count = 2\n[v4.1]\n`),
    );
    expect(warnings(program).filter((msg) => /segment|initialized/.test(msg))).toEqual([]);
    const client = await Client.open(ports.v5, 5);
    await client.publish('a/b', 'x', { qos: 1 });
    await client.publish('a/c', 'x', { qos: 1 });
    const device = await Client.open(ports.v4, 4);
    for (let i = 0; i < 40; i++) {
      await device.publish('/office/7/devices/status', 'x'.repeat(100), { qos: 1 });
      await device.publish('/office/7/other', 'x'.repeat(100), { qos: 1 });
    }
    const log = async (filter: string) => {
      const query = `filter=${encodeURIComponent(filter)}`;
      const url = `http://127.0.0.1:${ports.console}/api/v1/filters/log?${query}`;
      return (await (await fetch(url)).json()) as Record<string, unknown>;
    };
    expect(await log('a/b')).toMatchObject({ initialized: true, messages: 1, bytes: 8 });
    // v5.1 has no dynamic filters.
    expect(await log('a/c')).toMatchObject({ error: { code: 'not_found' } });
    // 128 bytes each, eight to a segment.
    expect(await log('/office/7/devices/status')).toMatchObject({
      segments: 2,
      messages: 16,
      appended: 40,
      lost: 24,
    });
    expect(await log('/office/7/other')).toMatchObject({ segments: 1, messages: 40, lost: 0 });
    const answer = await fetch(`http://127.0.0.1:${ports.console}/subscriptions/a.b`);
    expect(await answer.json()).toMatchObject({ filter: 'a/b', count: 1, total_size: 8 });
    const told = () =>
      program
        .log()
        .filter(({ msg }) => msg.includes('log of a filter is full'))
        .reduce((sum, record) => sum + Number((record as { count?: number }).count), 0);
    await eventually(() => expect(told()).toBe(24));
  });

  test('router.shared_subscriptions_strategy chooses the member', async () => {
    const shares = async (strategy: string) => {
      const { ports } = await start(
        into('router', `shared_subscriptions_strategy = "${strategy}"`),
      );
      const members = [await Client.open(ports.v5, 5), await Client.open(ports.v5, 5)];
      for (const member of members) await member.subscribe('$share/g/t', 1);
      const publisher = await Client.open(ports.v5, 5);
      for (let i = 0; i < 40; i++) await publisher.publish('t', `${i}`, { qos: 1 });
      const counts = [];
      for (const member of members) counts.push((await member.surplus(200)).length);
      await programs.endAll();
      expect(counts.reduce((sum, count) => sum + count)).toBe(40);
      return counts;
    };
    expect(await shares('roundrobin')).toEqual([20, 20]);
    expect(await shares('sticky')).toEqual([40, 0]);
    for (const count of await shares('random')) expect(count).toBeGreaterThan(2);
  });

  test('a v4 listener takes MQTT 3.1 and 3.1.1, a v5 listener 5.0', async () => {
    const { ports } = await start();
    for (const version of [3, 4] as const) {
      await (await Client.open(ports.v4, version)).close();
      await expect(Client.open(ports.v5, version)).rejects.toThrow();
    }
    await (await Client.open(ports.v5, 5)).close();
    await expect(Client.open(ports.v4, 5)).rejects.toThrow();
  });

  test('a unified listener takes every version on one port', async () => {
    const port = await freePort();
    await start((text) =>
      text
        // The file's own lines, without their comment signs.
        .replace(/^# (\[unified\.unified\]) .*$/m, '$1')
        .replace(/^# (name = "unified")$/m, '$1')
        .replace(/^# listen = "0\.0\.0\.0:1883"$/m, `listen = "127.0.0.1:${port}"`)
        .replace(/^# (\[unified\.unified\.connections\])$/m, '$1'),
    );
    for (const version of [3, 4, 5] as const satisfies Version[]) {
      await (await Client.open(port, version)).close();
    }
  });

  test('a ws listener serves every version over WebSocket; an empty [ws] is fine', async () => {
    const { ports, program } = await start();
    const over = { protocol: 'ws', path: '/mqtt' } as const;
    const tcp = await Client.open(ports.v4, 4);
    await tcp.subscribe('ws/+', 1);
    for (const version of [3, 4, 5] as const) {
      const web = await Client.open(ports.ws, version, over);
      await web.publish(`ws/${version}`, 'over WebSocket', { qos: 1 });
      expect((await tcp.next()).topic).toBe(`ws/${version}`);
      await web.close();
    }
    await tcp.close();
    expect(warnings(program).filter((msg) => msg.includes('[ws'))).toEqual([]);
    const { program: empty } = await start((text) =>
      text.replace(/^\[ws\.1\]\n[\s\S]*?(?=\[prometheus\])/m, '[ws]\n'),
    );
    expect(warnings(empty).filter((msg) => msg.includes('[ws]'))).toEqual([]);
  });

  test('name is in log records and events', async () => {
    const { program } = await start((text) => text.replace('"v4-1"', '"plant floor"'));
    expect(program.log()).toContainEqual(expect.objectContaining({ listener: 'plant floor' }));
    expect(program.log()).toContainEqual(expect.objectContaining({ listener: 'v5-1' }));
  });

  test('listen takes names, and an address in use ends the process', async () => {
    const { ports, text } = await reference();
    const named = text.replace(`127.0.0.1:${ports.v4}`, `localhost:${ports.v4}`);
    await programs.start(named, ports.v4);
    const { ports: others, text: second } = await reference();
    const file = write(second.replace(`:${others.v5}`, `:${ports.v4}`));
    const { errors, exited } = launch(['-c', file]);
    expect((await exited).code).toBe(1);
    expect(errors()).toContain(`cannot listen on 127.0.0.1:${ports.v4}: the address is in use`);
  });

  test('next_connection_delay_ms paces accepts from 2 on, and not at 1', async () => {
    const open = async (port: number, count: number) => {
      const before = performance.now();
      const clients = await Promise.all(Array.from({ length: count }, () => Client.open(port, 4)));
      const ms = performance.now() - before;
      await Promise.all(clients.map((client) => client.close()));
      return ms;
    };
    const { ports } = await start((text) =>
      text.replace('next_connection_delay_ms = 1', 'next_connection_delay_ms = 150'),
    );
    expect(await open(ports.v4, 5)).toBeGreaterThan(550);
    const { output, errors } = await check((text) => text);
    expect(output).toMatch(/^next_connection_delay_ms = 0 +# .*:15:1 \(1\)$/m);
    expect(errors.match(/has no effect at 1/g)).toHaveLength(1);
  });

  test('tls: certificate and key, or PKCS #12; capath asks for certificates', async () => {
    const { pair, capath, pkcs12, trust, identity } = tlsFiles(programs.folder);
    const tenant = `[v5.1.tls]\n${pair}${capath}[v5.1.connections]\nvalidate_tenant_prefix = true\n`;
    const { ports } = await start((text) =>
      text
        .replace('[v4.1.connections]', `[v4.1.tls]\n${pkcs12}[v4.1.connections]`)
        .replace('[v5.1.connections]\n', tenant),
    );
    await (await Client.open(ports.v4, 4, trust)).close();
    await expect(Client.open(ports.v5, 5, trust)).rejects.toThrow();
    const device = await Client.open(ports.v5, 5, { ...trust, ...identity });
    await device.publish('/tenants/acme/t', 'x', { qos: 1 });
    await expect(device.publish('/tenants/other/t', 'x', { qos: 1 })).rejects.toThrow();
    await device.close();
  });

  test('passwords let in who has one, and nobody else', async () => {
    const { ports } = await start((text) =>
      text.replace(/^# (\[v4\.1\.connections\.auth\])\n# (user1 = .*)$/m, '$1\n$2'),
    );
    const user = { username: 'user1', password: 'password' };
    await (await Client.open(ports.v4, 4, user)).close();
    await expect(Client.open(ports.v4, 4, { ...user, password: 'Password' })).rejects.toThrow();
    await expect(Client.open(ports.v4, 4)).rejects.toThrow();
    await (await Client.open(ports.v5, 5)).close();
  });

  test('connection_timeout_ms ends connections without CONNECT', async () => {
    const { ports } = await start((text) => text.replace('60000', '400'));
    const socket = await raw(ports.v4);
    const before = performance.now();
    socket.resume();
    await once(socket, 'close');
    const ms = performance.now() - before;
    expect(ms).toBeGreaterThan(300);
    expect(ms).toBeLessThan(3000);
  });

  test('max_payload_size is the Maximum Packet Size of its listener', async () => {
    const { ports } = await start((text) => text.replace(/20480(?![\s\S]*20480)/, '1000'));
    const modern = await Client.open(ports.v5, 5);
    expect(modern.connack?.properties?.maximumPacketSize).toBe(20_480);
    const fits = await Client.open(ports.v4, 4);
    // Two bytes of topic's length, one of topic, three of the fixed header.
    await fits.publish('t', Buffer.alloc(20_480 - 7), { qos: 0 });
    await fits.publish('t', 'x', { qos: 1 });
    const large = await Client.open(ports.v4, 4);
    const closed = large.closed();
    large.publish('t', Buffer.alloc(20_480), { qos: 0 }).catch(() => {});
    await closed;
    await Promise.all([modern.close(), fits.close()]);
  });

  test('max_inflight_count is the window', async () => {
    const { ports } = await start((text) =>
      text.replace('max_inflight_count = 100', 'max_inflight_count = 3'),
    );
    const subscriber = await rawClient(ports.v4, 'subscriber');
    let bytes = 0;
    subscriber.on('data', (data: Buffer) => {
      bytes += data.length;
    });
    subscriber.write(kSubscribe(1));
    await eventually(() => expect(bytes).toBe(5));
    const publisher = await Client.open(ports.v5, 5);
    for (let i = 0; i < 9; i++) await publisher.publish('t', `${i}`, { qos: 1 });
    // 32 06 0001 't' id payload: eight bytes each, and no acknowledgement.
    await eventually(() => expect(bytes).toBe(5 + 3 * 8));
    await sleep(200);
    expect(bytes).toBe(5 + 3 * 8);
    subscriber.write(Buffer.from('40020001', 'hex'));
    await eventually(() => expect(bytes).toBe(5 + 4 * 8));
    await publisher.close();
  });

  test('dynamic_filters: a topic that nobody has subscribed to gets a log', async () => {
    const { ports, program } = await start();
    expect(warnings(program).filter((msg) => msg.includes('dynamic_filters'))).toEqual([]);
    const device = await Client.open(ports.v4, 4);
    await device.publish('a', '1', { qos: 1 });
    const plain = await Client.open(ports.v5, 5);
    await plain.publish('b', '1', { qos: 1 });
    const filters = await fetch(`http://127.0.0.1:${ports.console}/api/v1/filters`);
    const { items } = (await filters.json()) as { items: { filter: string }[] };
    expect(items.map(({ filter }) => filter)).toEqual(['a']);
    // A new subscriber starts at the tail.
    await plain.subscribe('#', 1);
    await device.publish('a', '2', { qos: 1 });
    expect(await plain.surplus(200)).toEqual(['a: 2']);
  });

  test('duplicate_client_id: the older one ends, the newer one is refused, or both stay', async () => {
    const { ports } = await start((text) =>
      ['v5.1 "reject"', 'v4.1 "allow"'].reduce((all, entry) => {
        const [listener, value] = entry.split(' ');
        return into(`${listener}.connections`, `duplicate_client_id = ${value}`)(all);
      }, text),
    );
    const twin = { clientId: 'twin' };
    const first = await Client.open(ports.v4, 4, twin);
    const second = await Client.open(ports.v4, 4, twin);
    await expect(Client.open(ports.v5, 5, twin)).rejects.toThrow(/not valid/i);
    await first.subscribe('t', 1);
    await second.publish('t', 'from the other', { qos: 1 });
    expect((await first.next()).text).toBe('from the other');
    const ended = first.closed();
    const taker = await Client.open(ports.ws, 4, { ...twin, protocol: 'ws', path: '/mqtt' });
    await ended;
    await second.publish('t', 'still there', { qos: 1 });
    await Promise.all([second.close(), taker.close()]);
  });

  test('prometheus.listen, port and interval: the exporter answers', async () => {
    const connections = async (port: number) => {
      const response = await fetch(`http://127.0.0.1:${port}/metrics`);
      const text = await response.text();
      return Number(/^metrics_router_total_connections (\d+)$/m.exec(text)?.[1]);
    };
    const { ports } = await start((text) => text.replace('interval = 1', 'interval = 3600'));
    expect((await fetch(`http://127.0.0.1:${ports.prometheus}/`)).status).toBe(200);
    const before = await connections(ports.prometheus);
    const client = await Client.open(ports.v4, 4);
    expect(await connections(ports.prometheus)).toBe(before);
    await client.close();
    const port = await freePort();
    const { ports: fresh } = await start((text) =>
      text.replace('interval = 1', `interval = 0\nport = ${port}`),
    );
    const second = await Client.open(fresh.v4, 4);
    await eventually(async () => expect(await connections(port)).toBe(1));
    expect(await accepts(fresh.prometheus)).toBe(false);
    await second.close();
  });

  test('console.listen: the console answers', async () => {
    const { ports } = await start();
    const response = await fetch(`http://127.0.0.1:${ports.console}/`);
    expect(await response.json()).toMatchObject({
      listen: expect.stringContaining(String(ports.console)),
    });
    const config = await fetch(`http://127.0.0.1:${ports.console}/config`);
    expect(await config.json()).toMatchObject({ max_connections: 10_010 });
    const none = await start((text) => text.replace(/^\[console\]\n.*\n/m, ''));
    expect(await accepts(none.ports.console)).toBe(false);
  });

  test('bridge and cluster warn once, and the broker serves', async () => {
    const { ports, program } = await start((text) => {
      const bridge = /^# \[bridge\]\n(?:# .*\n?)*/m.exec(text)?.[0].replaceAll(/^# /gm, '');
      const cluster = '[cluster]\nnode_id = 0\nlisten = "0.0.0.0:1888"\nseniors = []';
      return `${text}${bridge}\n${cluster}\n`;
    });
    const said = warnings(program).filter((msg) => /\[(bridge|cluster)\]: not yet/.test(msg));
    expect(said).toHaveLength(2);
    await (await Client.open(ports.v4, 4)).close();
  });

  test('metrics: the interval of meters; that of alerts warns once', async () => {
    const metrics = '\n[metrics]\nmeters.push_interval = 7\nalerts.push_interval = 1\n';
    const { program } = await start((text) => text + metrics);
    const said = warnings(program).filter((msg) => msg.includes('metrics'));
    expect(said).toEqual([expect.stringContaining('push_interval: has no effect: alerts come')]);
  });
});
