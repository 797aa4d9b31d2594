// What section 6 of both standards says of MQTT over WebSocket, as functions: the tests of 3.1.1 and
// 5.0 give them their titles.
import { expect } from 'vitest';
import { connectPacket, publishPacket, subscription, unique } from '../harness/client.js';
import { encode } from '../harness/encode.js';
import type { Packet } from '../harness/packets.js';
import { clientFrame, kOpcode, RawWebSocket } from '../harness/websocket.js';
import type { Bench } from './suite.js';

async function connected(s: Bench): Promise<RawWebSocket> {
  const socket = await RawWebSocket.open(s.address);
  socket.send(s.version, connectPacket({ version: s.version }));
  expect((await socket.expect('CONNACK', s.version)).reasonCode).toBe(0);
  return socket;
}

export async function binaryFramesOnly(s: Bench): Promise<void> {
  for (const fin of [true, false]) {
    const socket = await connected(s);
    socket.send(s.version, { type: 'PINGREQ' });
    await socket.expect('PINGRESP', s.version);
    socket.frame(kOpcode.text, encode({ type: 'PINGREQ' }, s.version), { fin });
    expect(await socket.expectClose()).toBe(1003);
  }
}

export async function packetsAreNotAligned(s: Bench): Promise<void> {
  const topic = unique('ws');
  const sent: Packet[] = [
    connectPacket({ version: s.version }),
    {
      type: 'SUBSCRIBE',
      packetId: 1,
      subscriptions: [subscription({ filter: topic, qos: 1 })],
      properties: {},
    },
    publishPacket(topic, 'x'.repeat(300)),
    publishPacket(topic, ''),
    { type: 'PINGREQ' },
  ];
  const packets = Buffer.concat(sent.map((packet) => encode(packet, s.version)));
  const exchange = async (socket: RawWebSocket) => {
    expect((await socket.expect('CONNACK', s.version)).reasonCode).toBe(0);
    await socket.expect('SUBACK', s.version);
    expect((await socket.expect('PUBLISH', s.version)).payload.length).toBe(300);
    expect((await socket.expect('PUBLISH', s.version)).payload.length).toBe(0);
    await socket.expect('PINGRESP', s.version);
    socket.close();
  };
  // All in one frame; one byte in each; fragments with a Ping between them; two frames, cut anywhere.
  const together = await RawWebSocket.open(s.address);
  together.frame(kOpcode.binary, packets);
  await exchange(together);
  const apart = await RawWebSocket.open(s.address);
  for (const byte of packets) apart.frame(kOpcode.binary, Buffer.from([byte]));
  await exchange(apart);
  const fragments = await RawWebSocket.open(s.address);
  fragments.frame(kOpcode.binary, packets.subarray(0, 3), { fin: false });
  fragments.frame(kOpcode.ping, 'between');
  expect(await fragments.nextFrame()).toMatchObject({ opcode: kOpcode.pong });
  fragments.frame(kOpcode.continuation, '', { fin: false });
  fragments.frame(kOpcode.continuation, packets.subarray(3, 40), { fin: false });
  fragments.frame(kOpcode.continuation, packets.subarray(40));
  await exchange(fragments);
  for (let cut = 1; cut < packets.length; cut += 7) {
    const socket = await RawWebSocket.open(s.address);
    socket.write(
      Buffer.concat([
        clientFrame(kOpcode.binary, packets.subarray(0, cut)),
        clientFrame(kOpcode.binary, packets.subarray(cut)),
      ]),
    );
    await exchange(socket);
  }
}

export async function subprotocolIsMqtt(s: Bench): Promise<void> {
  for (const [offered, chosen] of [
    ['mqtt', 'mqtt'],
    ['mqttv3.1, mqtt', 'mqtt'],
    ['chat,mqtt', 'mqtt'],
    // What clients offer that are older than the standard's text.
    ['mqttv3.1', 'mqttv3.1'],
  ]) {
    const socket = await RawWebSocket.open(s.address, { protocols: offered ?? null });
    expect(socket.answer.headers.get('sec-websocket-protocol')).toBe(chosen);
    socket.close();
  }
  for (const offered of [null, 'chat', 'MQTT']) {
    const socket = await RawWebSocket.ask(s.address, { protocols: offered });
    expect(socket.answer.status).toBe(400);
    expect(socket.answer.headers.has('sec-websocket-protocol')).toBe(false);
    await socket.expectEnd();
  }
}
