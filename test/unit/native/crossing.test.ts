// Commands out and events in, byte for byte, against a reader and a writer of the tests' own.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CommandWriter } from '../../../src/native/commands.ts';
import { Dispatcher } from '../../../src/native/dispatch.ts';
import { EventReader, eventBit, type NativeEvent } from '../../../src/native/events.ts';
import { eventRecord, type FakeCommand, parseCommands } from '../fake-native.ts';

const microtask = () => new Promise<void>((done) => queueMicrotask(done));

function writer() {
  const batches: FakeCommand[][] = [];
  const commands = new CommandWriter((bytes, length) => {
    batches.push(parseCommands(Buffer.from(bytes.subarray(0, length))));
  });
  return { commands, batches };
}

describe('commands', () => {
  test('one batch for all of one microtask round', async () => {
    const { commands, batches } = writer();
    commands.linkOpen(1, 4096, { deviceId: 'pump-é', role: 'device', dynamicFilters: true });
    commands.linkCredit(1, 77);
    commands.disconnect('klient-é', 0x98, 'because');
    commands.drain(5000);
    commands.linkClose(1);
    expect(batches).toHaveLength(0);
    await microtask();
    expect(batches).toHaveLength(1);
    expect(batches[0]).toMatchObject([
      {
        kind: 'link_open',
        fields: { link_id: 1n, credit_bytes: 4096n, device_id_bytes: 7n, role: 1n, flags: 1n },
      },
      { kind: 'link_credit', fields: { link_id: 1n, consumed_bytes: 77n } },
      { kind: 'disconnect', fields: { reason_code: 0x98n } },
      { kind: 'drain', fields: { deadline_ms: 5000n } },
      { kind: 'link_close', fields: { link_id: 1n } },
    ]);
    expect(batches[0]?.[0]?.strings.map(String)).toEqual(['pump-é']);
    expect(batches[0]?.[2]?.strings.map(String)).toEqual(['klient-é', 'because']);
    commands.drain(1);
    await microtask();
    expect(batches).toHaveLength(2);
  });

  test('a verdict: what is left out stays as it was asked for', async () => {
    const { commands, batches } = writer();
    commands.verdict({ connectionId: 2n ** 63n + 5n, reasonCode: 0 });
    commands.verdict({
      connectionId: 7n,
      reasonCode: 0x87,
      reasonText: 'no',
      maxSessionExpiry: 9,
      serverKeepAlive: 8,
      maxQos: 1,
      refuseWill: true,
      clientId: 'c',
      username: 'ü',
      expiresIn: 60,
      role: 'device',
      tenant: 'acme',
      deviceId: 'd1',
      groups: ['g1', 'g2'],
      certificateName: 'CN',
      rules: [],
      authData: Buffer.from('proof'),
      limits: { maxMessagesPerSecond: 10, maxSubscriptions: 0 },
    });
    await microtask();
    const [bare, full] = batches[0] ?? [];
    expect(bare?.fields).toMatchObject({
      connection_id: 2n ** 63n + 5n,
      max_session_expiry_s: 0xfffffffen,
      server_keep_alive_s: 0xffffn,
      reason_code: 0n,
      max_qos: 0xffn,
      will_refused: 0n,
      role: 0n,
      expires_s: 0xfffffffen,
      max_messages_per_s: 0xfffffffen,
      max_bytes_per_s: 0xfffffffen,
      max_subscriptions: 0xfffffffen,
      max_packet_size: 0xfffffffen,
    });
    expect(bare?.strings.map(String)).toEqual(Array(9).fill(''));
    expect(full?.fields).toMatchObject({
      connection_id: 7n,
      max_session_expiry_s: 9n,
      server_keep_alive_s: 8n,
      reason_code: 0x87n,
      max_qos: 1n,
      will_refused: 1n,
      role: 1n,
      expires_s: 60n,
      max_messages_per_s: 10n,
      max_subscriptions: 0n,
      max_bytes_per_s: 0xfffffffen,
    });
    expect(full?.strings.map(String)).toEqual([
      'c',
      'ü',
      'no',
      'acme',
      'd1',
      'g1\0g2',
      'CN',
      '\0\0\0\0',
      'proof',
    ]);
  });

  test('any sequence of packets of any links arrives whole and in order', () => {
    const step = fc.record({
      link: fc.integer({ min: 1, max: 3 }),
      bytes: fc.uint8Array({ maxLength: 3000 }),
      other: fc.boolean(),
      huge: fc.integer({ min: 0, max: 60 }).map((n) => (n === 0 ? 70_000 : 0)),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { commands, batches } = writer();
        const expected = new Map<number, Buffer[]>();
        let others = 0;
        for (const { link, bytes, other, huge } of steps) {
          const data = huge === 0 ? bytes : new Uint8Array(huge).fill(bytes[0] ?? 1);
          const at = commands.linkBytes(link, data.length);
          commands.buffer.set(data, at);
          expected.set(link, [...(expected.get(link) ?? []), Buffer.from(data)]);
          if (other) {
            commands.linkCredit(link, 1);
            others++;
          }
        }
        commands.flush();
        commands.flush();
        const all = batches.flat();
        expect(all.filter(({ kind }) => kind === 'link_credit')).toHaveLength(others);
        for (const [link, data] of expected) {
          const sent = all.filter(
            ({ kind, fields }) => kind === 'link_bytes' && fields.link_id === BigInt(link),
          );
          expect(Buffer.concat(sent.map(({ strings }) => strings[0] ?? Buffer.alloc(0)))).toEqual(
            Buffer.concat(data),
          );
        }
        // Consecutive packets of one link share a record.
        expect(all.length).toBeLessThanOrEqual(steps.length + others);
      }),
      { numRuns: 25 },
    );
  });
});

function read(record: Buffer): NativeEvent {
  const reader = new EventReader(record);
  expect(reader.recordBytes(0)).toBe(record.length);
  return reader.read(0);
}

describe('events', () => {
  test('connect_request', () => {
    const event = read(
      eventRecord('connect_request', {
        connection_id: 2n ** 60n,
        listener_id: 3,
        session_expiry_s: 0xffffffff,
        keep_alive_s: 60,
        protocol_level: 4,
        flags: 1 + 2 + 4 + 8,
        client_id: 'gerät',
        username: 'u',
        password: Buffer.from([0, 255]),
        address: '[::1]:4040',
        will_topic: 'w/t',
        certificate: Buffer.from([48, 0]),
        auth_method: 'SCRAM',
        auth_data: Buffer.from('n,,'),
        transport: 4,
      }),
    );
    expect(event).toEqual({
      kind: 'connect_request',
      connectionId: 2n ** 60n,
      listenerId: 3,
      sessionExpiry: 'never',
      keepAlive: 60,
      protocolVersion: '3.1.1',
      flags: {
        cleanStart: true,
        hasUsername: true,
        hasPassword: true,
        hasWill: true,
        sessionPresent: false,
        isLink: false,
        assignedId: false,
        isHooked: false,
      },
      clientId: 'gerät',
      username: 'u',
      password: Buffer.from([0, 255]),
      address: '[::1]:4040',
      willTopic: 'w/t',
      transport: 'wss',
      certificate: Buffer.from([48, 0]),
      authMethod: 'SCRAM',
      authData: Buffer.from('n,,'),
    });
    expect(
      read(
        eventRecord('auth_request', {
          connection_id: 5,
          flags: 1,
          auth_method: 'SCRAM',
          auth_data: Buffer.from('x'),
          client_id: 'c',
          username: 'u',
          address: 'unix',
          listener_id: 3,
        }),
      ),
    ).toEqual({
      kind: 'auth_request',
      connectionId: 5n,
      again: true,
      authMethod: 'SCRAM',
      authData: Buffer.from('x'),
      clientId: 'c',
      username: 'u',
      address: 'unix',
      listenerId: 3,
    });
  });

  test('connected, disconnected, refused', () => {
    expect(
      read(
        eventRecord('connected', {
          connection_id: 1,
          session_expiry_s: 30,
          protocol_level: 5,
          flags: 16 + 64,
          client_id: 'a',
          address: 'x',
          instance: 7,
        }),
      ),
    ).toMatchObject({
      kind: 'connected',
      instance: 7,
      sessionExpiry: 30,
      protocolVersion: '5.0',
      flags: { sessionPresent: true, assignedId: true, cleanStart: false },
      clientId: 'a',
      username: '',
    });
    expect(
      read(
        eventRecord('disconnected', { cause: 9, reason_code: 0x8e, client_id: 'a', detail: 'd' }),
      ),
    ).toMatchObject({ kind: 'disconnected', cause: 'taken_over', reasonCode: 0x8e, detail: 'd' });
    expect(
      read(eventRecord('refused', { cause: 5, protocol_level: 0, detail: 'd' })),
    ).toMatchObject({
      kind: 'refused',
      cause: 'connect_timeout',
      protocolVersion: undefined,
      clientId: '',
      detail: 'd',
    });
  });

  test('the small ones', () => {
    expect(read(eventRecord('session_ended', { cause: 1, client_id: 'a', instance: 3 }))).toEqual({
      kind: 'session_ended',
      cause: 'expired',
      clientId: 'a',
      instance: 3,
    });
    expect(read(eventRecord('link_closed', { link_id: 4, cause: 15, reason_code: 0x8b }))).toEqual({
      kind: 'link_closed',
      linkId: 4,
      cause: 'shutting_down',
      reasonCode: 0x8b,
    });
    expect(read(eventRecord('alert', { alert: 1, count: 12, client_id: 'a' }))).toEqual({
      kind: 'alert',
      alert: 'queue_overflow',
      count: 12,
      clientId: 'a',
      instance: 0,
      filter: '',
      cause: undefined,
    });
    const overrun = { alert: 3, count: 7, client_id: '', filter: 't/#' };
    expect(read(eventRecord('alert', overrun))).toMatchObject({
      alert: 'log_overrun',
      count: 7,
      filter: 't/#',
    });
    expect(read(eventRecord('alert', { alert: 4, cause: 2, count: 7 }))).toMatchObject({
      alert: 'logs_budget',
      cause: 'bytes',
    });
    expect(read(eventRecord('drained', { unflushed_connections: 2 }))).toEqual({
      kind: 'drained',
      unflushedConnections: 2,
    });
    expect(
      read(eventRecord('log', { level: 2, suppressed: 3, cause: 6, reason_code: 129, text: 't' })),
    ).toMatchObject({
      kind: 'log',
      connectionId: undefined,
      level: 'warn',
      suppressed: 3,
      cause: 'malformed_packet',
      text: 't',
    });
  });

  test('link_bytes say where the packets are', () => {
    const event = read(eventRecord('link_bytes', { link_id: 9, data: Buffer.from('abc') }));
    if (event.kind !== 'link_bytes') throw new Error(event.kind);
    expect(event.buffer.subarray(event.start, event.end).toString()).toBe('abc');
  });

  test('an unknown kind is an error, not a guess', () => {
    const record = eventRecord('drained');
    record.writeUInt16LE(999, 4);
    expect(() => read(record)).toThrow('event kind 999 is unknown');
  });

  test('event bits', () => {
    expect(eventBit('connected')).toBe(4);
    expect(eventBit('drained')).toBe(1024);
  });
});

describe('dispatch', () => {
  /** Whole records into whatever room there is, as the native half does. */
  function source(records: Buffer[]) {
    return {
      drainEvents(into: Uint8Array): number {
        let used = 0;
        for (;;) {
          const [next] = records;
          if (next === undefined) return used;
          if (used + next.length > into.length) return used > 0 ? used : -next.length;
          into.set(next, used);
          used += next.length;
          records.shift();
        }
      },
    };
  }
  const drained = (n: number) => eventRecord('drained', { unflushed_connections: n });

  test('a flood is served in slices: other work of the loop goes on', async () => {
    const records = Array.from({ length: 30_000 }, (_, n) => drained(n));
    const seen: number[] = [];
    const dispatcher = new Dispatcher(source(records), (event) => {
      if (event.kind === 'drained') seen.push(event.unflushedConnections);
    });
    const progress: number[] = [];
    const watch = setInterval(() => progress.push(seen.length), 0);
    dispatcher.wake();
    const inFirstTurn = seen.length;
    expect(inFirstTurn).toBeGreaterThan(1000);
    expect(inFirstTurn).toBeLessThan(25_000);
    // A second wake-up while slices are pending changes nothing.
    dispatcher.wake();
    expect(seen).toHaveLength(inFirstTurn);
    while (seen.length < 30_000) await new Promise((done) => setImmediate(done));
    clearInterval(watch);
    expect(seen).toEqual(Array.from({ length: 30_000 }, (_, n) => n));
  });

  test('a record larger than the buffer', () => {
    const data = Buffer.alloc(3_000_000, 5);
    const seen: number[] = [];
    const records = [drained(1), eventRecord('link_bytes', { link_id: 1, data }), drained(2)];
    new Dispatcher(source(records), (event) => {
      seen.push(event.kind === 'link_bytes' ? event.end - event.start : 0);
    }).wake();
    expect(seen).toEqual([0, 3_000_000, 0]);
  });

  test('a sink that wakes the dispatcher again', () => {
    const records = [drained(1), drained(2)];
    const seen: number[] = [];
    const dispatcher = new Dispatcher(source(records), (event) => {
      if (event.kind === 'drained') seen.push(event.unflushedConnections);
      if (seen.length === 1) records.push(drained(3));
      dispatcher.wake();
    });
    dispatcher.wake();
    expect(seen).toEqual([1, 2, 3]);
  });

  test('close() ends it, drainAll() takes the rest', () => {
    const records = [drained(1)];
    const seen: string[] = [];
    const dispatcher = new Dispatcher(source(records), (event) => seen.push(event.kind));
    dispatcher.drainAll();
    expect(seen).toEqual(['drained']);
    dispatcher.close();
    records.push(drained(2));
    dispatcher.wake();
    expect(seen).toEqual(['drained']);
  });
});
