// MQTT 5.0, 4.12 and 3.15: enhanced authentication, with a method of the test's own. Its handler
// stands where TypeScript's providers do: behind the events and commands of the native half.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandWriter, type VerdictCommand } from '../../src/native/commands.js';
import { Dispatcher } from '../../src/native/dispatch.js';
import type { NativeEvent } from '../../src/native/events.js';
import { loadAddon } from '../../src/native/load.js';
import { brokerOptions, limits, listenSpec } from '../addon/raw-native.js';
import { standIn } from '../harness/broker.js';
import { Client, type ConnectOptions, connectPacket, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import { type EndPacket, Reason } from '../harness/packets.js';
import { type Address, Wire } from '../harness/wire.js';

type AuthPacket = EndPacket<'AUTH'>;

const method = 'letters';

/** What the client's data asks of the handler; the data behind ":" comes back. */
type Asked = 'ok' | 'more' | 'no' | 'silence' | 'other-user' | 'large';

class Scripted {
  readonly address: Address;
  /** Of each CONNECT and AUTH that was judged. */
  readonly seen: string[] = [];
  readonly #stop: () => void;

  constructor(io_threads: number, verdict_timeout_ms: number) {
    const native = loadAddon().createBroker(
      brokerOptions({ io_threads, authenticate: true, enhanced_auth: true, verdict_timeout_ms }),
      () => dispatcher.wake(),
    );
    const writer = new CommandWriter((bytes, length) => native.submit(bytes, length));
    const dispatcher = new Dispatcher(native, (event) => this.#judge(event, writer));
    const { port } = native.listen(listenSpec({ limits: limits({ connect_timeout_ms: 30_000 }) }));
    this.address = { host: '127.0.0.1', port };
    native.start();
    this.#stop = () => {
      dispatcher.close();
      native.stop();
    };
  }

  stop(): void {
    this.#stop();
  }

  #judge(event: NativeEvent, writer: CommandWriter): void {
    if (event.kind === 'connect_request') {
      const { username, password, authMethod, authData } = event;
      const data = authData.toString();
      this.seen.push(`CONNECT ${authMethod} ${data} ${username} ${password.toString()}`);
      const verdict = authMethod === method ? answer(data) : { reasonCode: 0 };
      const known = authMethod === method || authMethod === '';
      const reasonCode = Reason.badAuthenticationMethod;
      const given = known ? verdict : { reasonCode };
      if (given) writer.verdict({ connectionId: event.connectionId, ...given });
    } else if (event.kind === 'auth_request') {
      const { again, authMethod, authData } = event;
      this.seen.push(`AUTH ${again ? 'again ' : ''}${authMethod} ${authData.toString()}`);
      const given = answer(authData.toString());
      if (given) writer.verdict({ connectionId: event.connectionId, ...given });
    }
  }
}

function answer(text: string): Omit<VerdictCommand, 'connectionId'> | undefined {
  const [asked, data = ''] = text.split(':') as [Asked, string?];
  const authData = Buffer.from(data);
  switch (asked) {
    case 'ok':
      return { reasonCode: 0, authData };
    case 'more':
      return { reasonCode: 0x18, authData };
    case 'large':
      return { reasonCode: 0x18, authData: Buffer.alloc(2000) };
    case 'no':
      return { reasonCode: Reason.notAuthorized };
    case 'other-user':
      return { reasonCode: 0, username: 'somebody else' };
    case 'silence':
      return undefined;
  }
}

describe.skipIf(standIn).each([1, 3])('MQTT 5.0, 4.12, %i I/O threads', (io_threads) => {
  let server: Scripted;
  let hasty: Scripted;
  beforeAll(() => {
    server = new Scripted(io_threads, 20_000);
    hasty = new Scripted(io_threads, 150);
  });
  afterAll(() => {
    server.stop();
    hasty.stop();
  });

  const auth = (data: string, code = 0x18, name = method): AuthPacket => ({
    type: 'AUTH',
    reasonCode: code,
    properties: { authenticationMethod: name, authenticationData: Buffer.from(data) },
  });
  const asking = (data: string, options: ConnectOptions = {}): ConnectOptions => ({
    version: '5.0',
    ...options,
    properties: {
      authenticationMethod: method,
      authenticationData: Buffer.from(data),
      ...options.properties,
    },
  });
  /** CONNECT sent; the answer is awaited by the test. */
  const open = (data: string, options?: ConnectOptions, to = server) =>
    Client.open(to.address, asking(data, options));
  const connect = (data = 'ok', options?: ConnectOptions, to = server) =>
    Client.connect(to.address, asking(data, options));
  const text = (packet: { properties: { authenticationData?: Buffer } }) =>
    packet.properties.authenticationData?.toString();

  it('[MQTT-4.12.0-5] CONNACK has the method of CONNECT, and the last data', async () => {
    const client = await connect('ok:welcome');
    expect(client.connack.properties.authenticationMethod).toBe(method);
    expect(text(client.connack)).toBe('welcome');
    await client.ping();
    const bare = await connect('ok');
    expect(bare.connack.properties).not.toHaveProperty('authenticationData');
  });

  it('[MQTT-4.12.0-2] [MQTT-4.12.0-3] several AUTH 0x18 go to and fro before CONNACK', async () => {
    const client = await open('more:one');
    for (const round of ['one', 'two', 'three']) {
      const asked = await client.wire.expect('AUTH');
      expect(asked.reasonCode).toBe(0x18);
      expect(asked.properties.authenticationMethod).toBe(method);
      expect(text(asked)).toBe(round);
      const next = { one: 'more:two', two: 'more:three', three: 'ok:end' }[round] ?? '';
      client.send(auth(next));
    }
    const connack = await client.wire.expect('CONNACK');
    expect(connack.reasonCode).toBe(0);
    expect(text(connack)).toBe('end');
    await client.ping();
  });

  it('username and password stand beside a method, for whoever judges', async () => {
    await connect('ok', { username: 'anna', password: 'secret', clientId: unique() });
    expect(server.seen).toContain(`CONNECT ${method} ok anna secret`);
  });

  it('[MQTT-4.12.0-1] a method that nobody knows is refused with 0x8C', async () => {
    const client = await open('ok', { properties: { authenticationMethod: 'unheard of' } });
    await client.wire.expectRefused(Reason.badAuthenticationMethod);
  });

  it('[MQTT-4.12.0-4] the server may reject at any step, with CONNACK', async () => {
    const at_once = await open('no');
    await at_once.wire.expectRefused(Reason.notAuthorized);
    const later = await open('more:x');
    await later.wire.expect('AUTH');
    later.send(auth('no'));
    await later.wire.expectRefused(Reason.notAuthorized);
  });

  it('[MQTT-4.12.0-5] AUTH with another method than CONNECT is refused with 0x8C', async () => {
    const client = await open('more:x');
    await client.wire.expect('AUTH');
    client.send(auth('ok', 0x18, 'numbers'));
    await client.wire.expectRefused(Reason.badAuthenticationMethod);
  });

  it('[MQTT-4.12.0-3] AUTH 0x19 before CONNACK is refused with 0x82', async () => {
    const client = await open('more:x');
    await client.wire.expect('AUTH');
    client.send(auth('ok', 0x19));
    await client.wire.expectRefused(Reason.protocolError);
  });

  it('[MQTT-3.1.2-30] other packets before CONNACK are refused with 0x82, whenever they came', async () => {
    const after = await open('more:x');
    await after.wire.expect('AUTH');
    after.send({ type: 'PINGREQ' });
    await after.wire.expectRefused(Reason.protocolError);
    const wire = await Wire.open(server.address, '5.0');
    const packets = [connectPacket(asking('more:x')), { type: 'PINGREQ' } as const];
    wire.send(Buffer.concat(packets.map((packet) => encode(packet, '5.0'))));
    await wire.expect('AUTH');
    await wire.expectRefused(Reason.protocolError);
  });

  it('[MQTT-3.1.2-30] DISCONNECT before CONNACK ends it without an answer', async () => {
    const client = await open('more:x');
    await client.wire.expect('AUTH');
    client.send({ type: 'DISCONNECT', reasonCode: 0, properties: {} });
    await client.wire.expectClosed();
  });

  it('[MQTT-4.12.0-6] [MQTT-4.12.0-7] without a method there is none in CONNACK, and AUTH is 0x82', async () => {
    const client = await Client.connect(server.address, { version: '5.0' });
    expect(client.connack.properties).not.toHaveProperty('authenticationMethod');
    client.send(auth('ok', 0x19));
    await client.wire.expectDisconnect(Reason.protocolError);
  });

  it('3.1.1 knows nothing of it', async () => {
    const client = await Client.connect(server.address, { version: '3.1.1' });
    await client.ping();
  });

  it('[MQTT-4.12.1-1] re-authentication goes on beside everything else', async () => {
    const client = await connect();
    await client.subscribe({ filter: `t/${io_threads}`, qos: 1 });
    client.send(auth('more:prove it', 0x19));
    expect(await client.publish(`t/${io_threads}`, 'meanwhile', { qos: 0 })).toBe(0);
    const packets = [await client.wire.next(), await client.wire.next()];
    const asked = packets.find(({ type }) => type === 'AUTH') as AuthPacket;
    expect(packets.map(({ type }) => type).sort()).toEqual(['AUTH', 'PUBLISH']);
    expect(asked.reasonCode).toBe(0x18);
    await client.ping();
    client.send(auth('ok:again'));
    const done = await client.wire.expect('AUTH');
    expect(done.reasonCode).toBe(0);
    expect(done.properties.authenticationMethod).toBe(method);
    expect(text(done)).toBe('again');
    // And once more, in one step.
    client.send(auth('ok', 0x19));
    expect((await client.wire.expect('AUTH')).reasonCode).toBe(0);
    await client.ping();
  });

  it('[MQTT-4.12.1-1] also of a client that has come to the thread of its session', async () => {
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    for (let round = 0; round < 4; round++) {
      const client = await connect('ok', { clientId, cleanStart: false, properties });
      client.send(auth('more:x', 0x19));
      await client.wire.expect('AUTH');
      client.send(auth('ok'));
      expect((await client.wire.expect('AUTH')).reasonCode).toBe(0);
      await client.disconnect();
    }
  });

  it.each([
    ['a refusal', 'no', Reason.notAuthorized],
    ['another user', 'other-user', Reason.notAuthorized],
  ] as const)('[MQTT-4.12.1-2] %s ends the connection with DISCONNECT', async (_, data, code) => {
    const client = await connect();
    client.send(auth(data, 0x19));
    await client.wire.expectDisconnect(code);
  });

  it.each([
    ['another method', () => auth('ok', 0x19, 'numbers'), Reason.protocolError],
    ['AUTH 0x18 that nobody asked for', () => auth('ok'), Reason.protocolError],
    [
      'no method',
      () => ({ type: 'AUTH', reasonCode: 0x19, properties: {} }) as AuthPacket,
      Reason.protocolError,
    ],
  ] as const)('[MQTT-4.12.1-1] [MQTT-3.15.2-1] %s ends it', async (_, packet, code) => {
    const client = await connect();
    client.send(packet());
    await client.wire.expectDisconnect(code);
  });

  it('[MQTT-4.12.1-1] a second AUTH 0x19 before the first is done ends it with 0x82', async () => {
    const client = await connect();
    client.send(auth('silence', 0x19));
    client.send(auth('ok', 0x19));
    await client.wire.expectDisconnect(Reason.protocolError);
  });

  it('[MQTT-3.1.2-24] an AUTH larger than the client takes is not sent', async () => {
    const properties = { maximumPacketSize: 500 };
    const before = await open('large', { properties });
    await before.wire.expectRefused(Reason.packetTooLarge);
    const client = await connect('ok', { properties });
    client.send(auth('large', 0x19));
    await client.wire.expectDisconnect(Reason.packetTooLarge);
  });

  it('[MQTT-3.15.2-2] [MQTT-3.15.2-3] AUTH has neither Reason String nor User Properties', async () => {
    const client = await open('more:x');
    const asked = await client.wire.expect('AUTH');
    expect(Object.keys(asked.properties).sort()).toEqual([
      'authenticationData',
      'authenticationMethod',
    ]);
  });

  it.concurrent('who takes too long is refused, before CONNACK and after it', async () => {
    const unjudged = await open('silence', {}, hasty);
    await unjudged.wire.expectRefused(0x88);
    const silent = await open('more:x', {}, hasty);
    await silent.wire.expect('AUTH');
    await silent.wire.expectRefused(Reason.notAuthorized);
    const unanswered = await connect('ok', {}, hasty);
    unanswered.send(auth('silence', 0x19));
    await unanswered.wire.expectDisconnect(Reason.notAuthorized);
    const left = await connect('ok', {}, hasty);
    left.send(auth('more:x', 0x19));
    await left.wire.expect('AUTH');
    await left.wire.expectDisconnect(Reason.notAuthorized);
  });
});
