// ST-RMQTT's reference configuration for tests: on free ports, and with variations.
import { resolve } from 'node:path';
import { freePort } from './broker-process.js';
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
export const warnings = (program: Program) =>
  program
    .log()
    .filter(({ level }) => level === 'warn')
    .map(({ msg }) => msg);
