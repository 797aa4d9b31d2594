// Enhanced authentication from the configuration to the socket: SCRAM, own methods, and again later.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type IConnackPacket, type MqttClient } from 'mqtt';
import { generate, type IAuthPacket } from 'mqtt-packet';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { formatCredential, makeScram } from '../../src/auth/passwords/hashes.ts';
import type { Accept } from '../../src/auth/verdict.ts';
import { Broker, type BrokerOptions } from '../../src/broker.ts';
import { eventually } from '../harness/eventually.ts';
import { ScramClient } from '../unit/auth/scram-client.ts';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-enhanced-'));
const path = join(folder, 'users');
const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function start(tables: object, prepare: (broker: Broker) => void = () => undefined) {
  const options = {
    unified: { main: { name: 'main', listen: '127.0.0.1:0' } },
    log: { to: 'off' },
  };
  const broker = new Broker({ ...options, ...tables } as BrokerOptions);
  prepare(broker);
  undo.push(() => broker.stop({ timeoutMs: 0 }));
  await broker.start();
  return broker;
}

interface Login {
  readonly method: string;
  readonly first: Buffer;
  /** What AUTH is answered with. */
  readonly answer: (challenge: Buffer) => Buffer;
}

/** Resolves with the client and the data of CONNACK; rejects with the refusal. */
async function login(broker: Broker, { method, first, answer }: Login) {
  const client: MqttClient = connect({
    host: '127.0.0.1',
    port: broker.addresses[0]?.port ?? 0,
    protocolVersion: 5,
    reconnectPeriod: 0,
    manualConnect: true,
    properties: { authenticationMethod: method, authenticationData: first },
  });
  undo.push(() => client.endAsync(true));
  client.handleAuth = (packet: IAuthPacket, callback) => {
    const challenge = packet.properties?.authenticationData ?? Buffer.alloc(0);
    if (packet.reasonCode !== 0x18) {
      callback();
      return;
    }
    callback(undefined, {
      cmd: 'auth',
      reasonCode: 0x18,
      properties: { authenticationMethod: method, authenticationData: answer(challenge) },
    });
  };
  const connack = await new Promise<IConnackPacket>((resolve, reject) => {
    client.once('connect', resolve);
    client.once('error', reject);
    client.connect();
  });
  return { client, data: connack.properties?.authenticationData };
}

const codeOf = (error: unknown) => (error as { code?: number }).code;

describe.each([
  ['SCRAM-SHA-256', 'sha256'],
  ['SCRAM-SHA-512', 'sha512'],
] as const)('%s', (method, hash) => {
  const scram = { auth: { providers: [{ kind: 'scram', path }] } };
  const as = (user: string, password: string) => {
    const client = new ScramClient(hash, user, password);
    return {
      client,
      login: { method, first: client.first(), answer: (one: Buffer) => client.final(one) },
    };
  };
  const prepare = async () => {
    const verifier = await makeScram(Buffer.from('word'), hash);
    writeFileSync(path, `anna:${formatCredential(verifier)}\n`);
    return start(scram);
  };

  test('a user comes in under that name, and the broker proves itself', async () => {
    const broker = await prepare();
    const connected = new Promise<string | undefined>((done) =>
      broker.once('connect', ({ username }) => done(username)),
    );
    const anna = as('anna', 'word');
    const { data } = await login(broker, anna.login);
    expect(anna.client.trusts(data ?? Buffer.alloc(0))).toBe(true);
    expect(await connected).toBe('anna');
  });

  test('a wrong password, an unknown user, an unknown method, and none at all do not', async () => {
    const broker = await prepare();
    await expect(login(broker, as('anna', 'x').login)).rejects.toMatchObject({ code: 0x86 });
    await expect(login(broker, as('bert', 'word').login)).rejects.toMatchObject({ code: 0x86 });
    const other = { ...as('anna', 'word').login, method: 'GS2-KRB5' };
    expect(codeOf(await login(broker, other).catch((error: unknown) => error))).toBe(0x8c);
    const plain = connect({
      host: '127.0.0.1',
      port: broker.addresses[0]?.port ?? 0,
      protocolVersion: 5,
      reconnectPeriod: 0,
      username: 'anna',
      password: 'word',
    });
    undo.push(() => plain.endAsync(true));
    const refused = await new Promise((done) => plain.once('error', done));
    expect(codeOf(refused)).toBe(0x86);
  });
});

describe('a method of the application', () => {
  const two = (broker: Broker) =>
    broker.authenticateWith('X-TWO-STEPS', async ({ data, challenge, client }) => {
      const answer = await challenge(Buffer.from(client === undefined ? 'again?' : 'word?'));
      if (answer.toString() !== 'please') return { accept: false, reasonCode: 0x87 };
      return { accept: true, username: data.toString(), authData: Buffer.from('welcome') };
    });
  const polite = (data: string, seen: string[] = []): Login => ({
    method: 'X-TWO-STEPS',
    first: Buffer.from(data),
    answer: (challenge) => {
      seen.push(challenge.toString());
      return Buffer.from('please');
    },
  });

  test('lets in, and refuses', async () => {
    const broker = await start({}, two);
    const seen: string[] = [];
    const { data } = await login(broker, polite('guest', seen));
    expect([seen, data?.toString()]).toEqual([['word?'], 'welcome']);
    const rude = { ...polite('guest'), answer: () => Buffer.from('now') };
    await expect(login(broker, rude)).rejects.toMatchObject({ code: 0x87 });
  });

  test('a client may authenticate again, as nobody else', async () => {
    const broker = await start({}, two);
    const seen: string[] = [];
    const { client } = await login(broker, polite('guest', seen));
    const again = (data: string) =>
      // It has no method of its own for this packet.
      (client as unknown as { _sendPacket(packet: IAuthPacket): void })._sendPacket({
        cmd: 'auth',
        reasonCode: 0x19,
        properties: {
          authenticationMethod: 'X-TWO-STEPS',
          authenticationData: Buffer.from(data),
        },
      });
    again('guest');
    await eventually(() => expect(seen).toEqual(['word?', 'again?']));
    await client.publishAsync('a', 'b', { qos: 1 });
    const ended = new Promise<string>((done) =>
      broker.once('disconnect', ({ cause }) => done(cause)),
    );
    again('root');
    expect(await ended).toBe('not_authorized');
  });
});

describe('a re-authentication', () => {
  /** CONNECT has the first of these verdicts, each re-authentication the next. */
  const verdicts = (...list: Omit<Accept, 'accept'>[]) => {
    let at = 0;
    return (broker: Broker) =>
      broker.authenticateWith('OWN', () => ({ accept: true, ...list[at++] }));
  };
  const connected = async (broker: Broker) => {
    const own = { method: 'OWN', first: Buffer.from('x'), answer: (data: Buffer) => data };
    const { client } = await login(broker, own);
    const ended = new Promise<number | undefined>((done) => {
      client.on('disconnect', ({ reasonCode }) => done(reasonCode));
    });
    const again = () => {
      const renewed = new Promise<void>((done) => {
        client.once('packetreceive', ({ cmd }) => cmd === 'auth' && done());
      });
      (client.stream as NodeJS.WritableStream).write(
        generate(
          { cmd: 'auth', reasonCode: 0x19, properties: { authenticationMethod: 'OWN' } },
          { protocolVersion: 5 },
        ),
      );
      return renewed;
    };
    const codes = async (topic: string) =>
      client.publishAsync(topic, 'x', { qos: 1 }).then(
        () => 0,
        (error: unknown) => codeOf(error),
      );
    return { client, ended, again, codes };
  };
  const to = (...filters: string[]) => ({ rules: [{ filters }] });

  test('applies groups, rules, role and limits at once, and takes away what it does not say', async () => {
    const own = verdicts(
      { username: 'u', ...to('a/#'), limits: { maxSubscriptions: 5 } },
      { username: 'u', ...to('b/#'), limits: { maxSubscriptions: 1 } },
      { username: 'u', groups: ['ops'] },
      {},
    );
    const rules = [{ effect: 'allow', groups: ['ops'], filters: ['ops'] }];
    const broker = await start({ acl: { rules } }, own);
    const { client, again, codes } = await connected(broker);
    expect([await codes('a/x'), await codes('b/x'), await codes('ops')]).toEqual([0, 0x87, 0x87]);
    await client.subscribeAsync('a/s', { qos: 1 });
    await again();
    // The same topics again: no decision of before is remembered.
    expect([await codes('a/x'), await codes('b/x')]).toEqual([0x87, 0]);
    const got: string[] = [];
    client.on('message', (topic) => got.push(topic));
    await client.subscribeAsync('b/s', { qos: 1 }).catch(() => undefined);
    const link = await broker.link({ clientId: 'inside' });
    await link.publish('a/s', 'x', { qos: 1 });
    await again();
    expect([await codes('b/x'), await codes('ops')]).toEqual([0x87, 0]);
    await again();
    expect(await codes('ops')).toBe(0x87);
    expect(got).toEqual([]);
  });

  test.each([
    ['user', { username: 'other' }],
    ['tenant', { tenant: 'other' }],
    ['device', { deviceId: 'other' }],
    ['Client Identifier', { clientId: 'other' }],
  ])('as another %s ends the connection', async (_, other) => {
    const same = { username: 'u', tenant: 't', deviceId: 'd', clientId: 'c' };
    const broker = await start({}, verdicts(same, same, { ...same, ...other }));
    const { client, again, ended } = await connected(broker);
    await again();
    expect(client.connected).toBe(true);
    void again();
    expect(await ended).toBe(0x87);
  });

  test('bounds the rate of who had no bound, and frees who had one', async () => {
    const broker = await start(
      {},
      verdicts(
        { username: 'u' },
        { username: 'u', limits: { maxMessagesPerSecond: 1 } },
        {
          username: 'u',
        },
      ),
    );
    const { client, again } = await connected(broker);
    const burst = () =>
      Promise.all(Array.from({ length: 3 }, () => client.publishAsync('t', '', { qos: 1 })));
    const pauses = () => broker.metrics().paused_rate;
    await burst();
    expect(pauses()).toBe(0);
    await again();
    await burst();
    const before = pauses();
    expect(before).toBeGreaterThan(0);
    await again();
    await burst();
    expect(pauses()).toBe(before);
  });
});
