// ST-RMQTT's reference configuration for tests: on free ports, and with variations.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { expect } from 'vitest';
import { freePort, launch } from './broker-process.js';
import { type Program, readText } from './programs.js';

export const fixture = resolve(import.meta.dirname, '../unit/config/fixtures/rumqttd.toml');

export interface Ports {
  readonly v4: number;
  readonly v5: number;
  readonly ws: number;
  readonly console: number;
  readonly prometheus: number;
}

/** The reference file on free ports of this machine; `change` makes its variation. */
export async function reference(change: (text: string) => string = (text) => text) {
  const ports: Ports = {
    v4: await freePort(),
    v5: await freePort(),
    ws: await freePort(),
    console: await freePort(),
    prometheus: await freePort(),
  };
  const text = change(readText(fixture))
    .replace('0.0.0.0:1883', `127.0.0.1:${ports.v4}`)
    .replace('0.0.0.0:1884', `127.0.0.1:${ports.v5}`)
    .replace('0.0.0.0:8083', `127.0.0.1:${ports.ws}`)
    .replace('0.0.0.0:3030', `127.0.0.1:${ports.console}`)
    .replace('127.0.0.1:9042', `127.0.0.1:${ports.prometheus}`);
  return { ports, text };
}

/** Puts lines behind the header of a table. */
export const into = (table: string, lines: string) => (text: string) =>
  text.replace(`[${table}]\n`, `[${table}]\n${lines}\n`);
/** What `st-mqttd check` says of a file. */
export async function checkFile(file: string) {
  const { child, errors, exited } = launch(['check', '-c', file]);
  let output = '';
  child.stdout?.on('data', (data) => {
    output += data;
  });
  const { code } = await exited;
  return { code, output, errors: errors() };
}

/** A SUBSCRIBE to "t". */
export const kSubscribe = (qos: number) => Buffer.from([0x82, 6, 0, 1, 0, 1, 0x74, qos]);
export const warnings = (program: Program) =>
  program
    .log()
    .filter(({ level }) => level === 'warn')
    .map(({ msg }) => msg);

const sockets: Socket[] = [];

/** Of raw() and rawClient(). */
export function closeSockets(): void {
  for (const socket of sockets.splice(0)) socket.destroy();
}

/** MQTT 3.1.1, byte for byte. */
export async function raw(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}
export async function rawClient(port: number, id: string): Promise<Socket> {
  const socket = await raw(port);
  const body = Buffer.concat([
    Buffer.from('00044d5154540402003c', 'hex'),
    Buffer.from([0, id.length]),
    Buffer.from(id),
  ]);
  socket.write(Buffer.concat([Buffer.from([0x10, body.length]), body]));
  const [connack] = (await once(socket, 'data')) as [Buffer];
  expect(connack.toString('hex')).toBe('20020000');
  return socket;
}
