// Imports a configuration of another broker, as a file of its own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect } from 'vitest';
import { importedText } from '../../../src/config/import.ts';
import { refusal, resolveText } from './resolving.ts';

export const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-import-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
export const fixture = (name: string) =>
  fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

let files = 0;
export function write(text: string, ending: string): string {
  const file = join(folder, `${files++}.${ending}`);
  writeFileSync(file, text);
  return file;
}
export const mosquitto = (text: string) => importedText(write(text, 'conf'));
export const rmqtt = (text: string) => importedText(write(text, 'toml'), 'rmqtt');

export const kUnhandled = /^unhandled = \[\n(?: .*\n)*\]\n/m;

/** With what is about access seen to, as its reader would. */
export function seenTo(text: string): string {
  return text
    .replace(kUnhandled, '')
    .replaceAll(/^proxy_protocol = .*\n/gm, '')
    .replaceAll(/^\[persistence\]\n(?:\w.*\n)*/gm, '');
}

/** It does not start, or a listener of it takes nobody who is not known. */
export async function isShut(text: string): Promise<boolean> {
  if (text.includes('unhandled = [')) {
    expect((await refusal(text)).code).toBe('ST_CONFIG_UNSUPPORTED');
    return true;
  }
  const { config } = await resolveText(text);
  return config.listeners.some(({ allowAnonymous }) => allowAnonymous === false);
}
