import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { hex } from './bytes.js';
import { Client } from './client.js';
import { type Address, Wire } from './wire.js';

let server: Server | undefined;

/** A peer that does what `script` says with each connection. */
async function peer(script: (socket: Socket) => void): Promise<Address> {
  server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    script(socket);
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('not bound');
  return { host: '127.0.0.1', port: bound.port };
}

afterEach(() => {
  server?.close();
});

const CONNACK = hex('20 03 00 00 00');
const PINGRESP = hex('d0 00');

describe('Wire', () => {
  it('puts packets together from pieces and takes several from one', async () => {
    const address = await peer((socket) => {
      socket.write(Buffer.concat([CONNACK.subarray(0, 3)]));
      setTimeout(() => socket.write(Buffer.concat([CONNACK.subarray(3), PINGRESP])), 10);
    });
    const wire = await Wire.open(address, '5.0');
    expect((await wire.expect('CONNACK')).reasonCode).toBe(0);
    await wire.expect('PINGRESP');
    await wire.expectNothing(20);
    wire.close();
  });

  it('says what came instead, with the transcript of the connection', async () => {
    const address = await peer((socket) => socket.write(PINGRESP));
    const wire = await Wire.open(address, '5.0', 'name of it');
    wire.send({ type: 'PINGREQ' });
    const failure = await wire.expect('SUBACK').catch((error: Error) => error.message);
    expect(failure).toContain('SUBACK expected, PINGRESP came');
    expect(failure).toContain('name of it (5.0)');
    expect(failure).toMatch(/-> PINGREQ [\s\S]*c0 00[\s\S]*<- PINGRESP [\s\S]*d0 00/);
    wire.close();
  });

  it('fails on silence, on an end, and on packets where none may come', async () => {
    const address = await peer((socket) => socket.once('data', () => socket.end(CONNACK)));
    const wire = await Wire.open(address, '5.0');
    await expect(wire.expect('CONNACK', 20)).rejects.toThrow('no CONNACK within 20 ms');
    await expect(wire.expectClosed(20)).rejects.toThrow('still open after 20 ms');
    wire.send({ type: 'PINGREQ' });
    await expect(wire.expectClosed()).rejects.toThrow('the end was expected, CONNACK came');
    await expect(wire.expectNothing()).rejects.toThrow('the connection ended');
    await expect(wire.next()).rejects.toThrow('the connection ended');
    await wire.expectClosed();
  });

  it('fails on packets that are not valid, and on half a packet at the end', async () => {
    const bad = await peer((socket) => socket.write(hex('20 03 02 00 00')));
    const wire = await Wire.open(bad, '5.0');
    await expect(wire.next()).rejects.toThrow(/not valid: CONNACK: reserved acknowledge flags/);
    wire.close();
    server?.close();
    const half = await peer((socket) => socket.end(hex('20 03 00')));
    const cut = await Wire.open(half, '5.0');
    await expect(cut.expectClosed()).rejects.toThrow('ended inside a packet');
  });

  it('wants a DISCONNECT with the code in 5.0 and none in 3.x', async () => {
    const address = await peer((socket) => socket.end(hex('e0 01 82')));
    const right = await Wire.open(address, '5.0');
    expect((await right.expectDisconnect([0x81, 0x82]))?.reasonCode).toBe(0x82);
    const wrong = await Wire.open(address, '5.0');
    await expect(wrong.expectDisconnect(0x81)).rejects.toThrow('0x81 expected, 0x82 came');
    const old = await Wire.open(address, '3.1.1');
    await expect(old.expectDisconnect(0x82)).rejects.toThrow('not valid');
  });

  it('finds an answer behind messages and keeps those', async () => {
    const publish = hex('30 05 0001 61 00 78');
    const address = await peer((socket) =>
      socket.write(Buffer.concat([CONNACK, publish, publish, hex('90 04 0001 00 00')])),
    );
    const client = await Client.connect(address);
    expect((await client.subscribe('a')).reasonCodes).toEqual([0]);
    expect(await client.receiveTexts(2)).toEqual(['x', 'x']);
    client.close();
  });
});
