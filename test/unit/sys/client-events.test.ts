import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ConnectInfo } from '../../../src/session/events.ts';
import {
  clientLevel,
  connectMessages,
  disconnectMessage,
  sessionEndMessage,
} from '../../../src/sys/client-events.ts';

const client: ConnectInfo = {
  clientId: 'dev',
  instance: 0,
  username: undefined,
  address: 'link',
  listener: undefined,
  protocolVersion: '5.0',
  cleanStart: false,
  sessionPresent: true,
  keepAlive: 0,
  sessionExpiry: 'never',
  hasWill: false,
  connectionId: 1n,
};
const now = new Date(2026, 0, 2, 3, 4, 5, 6);

test('a Client Identifier is one level, and no two are the same one', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (a, b) => {
      expect(clientLevel(a)).not.toMatch(/[/+#]/);
      expect(decodeURIComponent(clientLevel(a).replace(/%(?!2[35BF])/g, '%25'))).toBe(a);
      expect(clientLevel(a) === clientLevel(b)).toBe(a === b);
    }),
  );
});

test('the topic of the longest Client Identifier is a Topic Name', () => {
  for (const one of ['+', '温', 'é', '😀']) {
    const level = clientLevel(one.repeat(65_535 / Buffer.byteLength(one)));
    expect(Buffer.byteLength(level)).toBeLessThanOrEqual(60_000);
    expect(level).not.toContain('\uFFFD');
  }
});

test('what is not known is null, and a session that was there was not created', () => {
  const [connected, ...more] = connectMessages(3, client, now);
  expect(more).toEqual([]);
  expect(connected?.topic).toBe('clients/dev/connected');
  expect(JSON.parse(connected?.payload ?? '')).toEqual({
    node: 3,
    ipaddress: 'link',
    clientid: 'dev',
    username: null,
    listener: null,
    keepalive: 0,
    proto_ver: 5,
    clean_session: false,
    session_expiry: 'never',
    connected_at: now.getTime(),
    session_present: true,
    time: '2026-01-02 03:04:05.006',
  });
  const fresh = connectMessages(3, { ...client, sessionPresent: false }, now);
  expect(fresh.map(({ topic }) => topic)).toEqual(['clients/dev/connected', 'session/dev/created']);
  const brief = { ...client, sessionPresent: false, sessionExpiry: 0 };
  expect(connectMessages(3, brief, now)).toHaveLength(1);
});

test('the reason is the detail, or the cause in words', () => {
  const info = {
    clientId: 'dev',
    instance: 0,
    username: 'u',
    address: '[::1]:4',
    cause: 'keep_alive_timeout' as const,
    reasonCode: 0x8d,
    connectionId: 1n,
  };
  const reason = (detail: string) =>
    (JSON.parse(disconnectMessage(1, { ...info, detail }, now).payload) as { reason: string })
      .reason;
  expect(reason('')).toBe('keep alive timeout');
  expect(reason('silent for 90 s')).toBe('silent for 90 s');
  const ended = sessionEndMessage(1, { clientId: 'dev', instance: 0, cause: 'clean_start' }, now);
  expect(JSON.parse(ended.payload)).toMatchObject({ cause: 'clean_start', reason: 'clean start' });
});
