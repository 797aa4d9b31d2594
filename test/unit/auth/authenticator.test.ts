// What an application's authenticator is asked, and what becomes of its answers.
import { describe, expect, test } from 'vitest';
import type { Broker } from '../../../src/broker.ts';
import { listener, make, turn } from '../brokers.ts';
import type { FakeBroker } from '../fake-native.ts';

describe('authenticate', () => {
  const ask = (native: FakeBroker, fields: Record<string, number | string> = {}) =>
    native.emit('connect_request', {
      connection_id: 9,
      listener_id: 1,
      protocol_level: 5,
      flags: 1 + 2 + 4,
      client_id: 'c',
      username: 'u',
      password: 'p',
      ...fields,
    });
  const verdictOf = async (handler: Parameters<Broker['authenticate']>[0]) => {
    const { addon, broker } = make();
    const errors: string[] = [];
    broker.on('log', ({ level, text }) => level === 'error' && errors.push(text));
    broker.authenticate(handler);
    await broker.start();
    expect(addon.broker.options.authenticate).toBe(true);
    ask(addon.broker);
    await turn();
    await new Promise((done) => setTimeout(done, 10));
    const [verdict] = addon.broker.sent('verdict');
    await broker.stop();
    return { verdict, errors, reasonCode: Number(verdict?.fields.reason_code ?? -1n) };
  };

  test('it is told who wants to connect', async () => {
    let seen: unknown;
    await verdictOf((context) => {
      const { clientId, username, password, listener: name, protocolVersion, willTopic } = context;
      seen = {
        clientId,
        username,
        password: password?.toString(),
        name,
        protocolVersion,
        willTopic,
      };
      return true;
    });
    expect(seen).toEqual({
      clientId: 'c',
      username: 'u',
      password: 'p',
      name: 'unified-one',
      protocolVersion: '5.0',
      willTopic: undefined,
    });
  });

  test('accepts and refuses, at once and later', async () => {
    expect((await verdictOf(() => true)).reasonCode).toBe(0);
    expect((await verdictOf(async () => false)).reasonCode).toBe(0x87);
    expect(
      (await verdictOf(() => ({ accept: false, reasonCode: 0x8a, reason: 'no' }))).verdict,
    ).toMatchObject({
      fields: { reason_code: 0x8an, connection_id: 9n },
    });
    const { verdict } = await verdictOf(async () => ({
      accept: true,
      clientId: 'new',
      username: 'other',
      maxQos: 1,
      maxSessionExpiry: 5,
      serverKeepAlive: 30,
      allowWill: false,
    }));
    expect(verdict?.fields).toMatchObject({
      reason_code: 0n,
      max_qos: 1n,
      max_session_expiry_s: 5n,
      server_keep_alive_s: 30n,
      will_refused: 1n,
    });
    expect(verdict?.strings.slice(0, 3).map(String)).toEqual(['new', 'other', '']);
  });

  test.each([
    [
      () => Promise.reject(new Error('database is down')),
      'the authenticator threw: database is down',
    ],
    [
      () => {
        throw new Error('now');
      },
      'the authenticator threw: now',
    ],
    [() => undefined as unknown as boolean, 'neither true, false nor an object'],
    [() => ({ accept: 'yes' }) as unknown as boolean, 'neither true, false nor an object'],
    [
      () => ({ accept: false, reasonCode: 0 }) as const,
      'its reasonCode 0 is not a refusal of CONNACK',
    ],
    [() => ({ accept: true, maxQos: 3 }) as unknown as boolean, 'its maxQos is 3; allowed: 0 to 2'],
    [() => ({ accept: true, serverKeepAlive: 0xffff }) as const, 'its serverKeepAlive is 65535'],
    [
      () => ({ accept: true, clientId: '' }) as const,
      'its clientId is not 1 to 65535 bytes of text',
    ],
    [
      () => ({ accept: false, reason: 'x'.repeat(65_536) }) as const,
      'its reason is not text of at most 65535 bytes',
    ],
    [() => ({ accept: false, reason: 'a\0b' }) as const, 'its reason is not text'],
  ])('what is no verdict refuses with 0x88 and is logged: %s', async (handler, text) => {
    const { reasonCode, errors } = await verdictOf(handler);
    expect(reasonCode).toBe(0x88);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain('authenticating client "c": ');
    expect(errors[0]).toContain(text);
  });

  test('its signal is aborted when time is over, and when the broker stops', async () => {
    const run = async (stopEarly: boolean) => {
      const { addon, broker } = make({
        ...listener,
        broker: { verdict_timeout_ms: stopEarly ? 5000 : 20 },
      });
      let aborted = '';
      broker.authenticate(
        ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              aborted = String(signal.reason);
              reject(signal.reason);
            });
          }),
      );
      await broker.start();
      ask(addon.broker);
      await new Promise((done) => setTimeout(done, 60));
      await broker.stop();
      return aborted;
    };
    expect(await run(false)).toContain('the time for a verdict is over');
    expect(await run(true)).toContain('the broker stops');
  });

  test('only before start', async () => {
    const { broker } = make();
    await broker.start();
    expect(() => broker.authenticate(() => true)).toThrow('call authenticate() before start()');
    await broker.stop();
    broker.authenticate(() => true);
  });
});
