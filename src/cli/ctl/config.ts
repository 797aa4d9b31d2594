/** `ctl config` and `ctl reload`. */
import type { Json, JsonObject } from './api.js';
import { type Call, rowsOf } from './listings.js';
import { cell, jsonText } from './output.js';
import { usage } from './parse.js';
import { type Column, writeTable } from './table.js';

const entryColumns: readonly Column<JsonObject>[] = [
  { title: 'KEY', of: ({ key }) => cell(key) },
  { title: 'VALUE', of: ({ value }) => cell(value) },
  { title: 'ORIGIN', of: ({ origin }) => (origin === null ? 'default' : cell(origin)) },
  { title: 'CHANGES', of: ({ reload }) => cell(reload) },
];

export async function showConfig({ api, output, args, flags }: Call): Promise<void> {
  const [part = ''] = args;
  const answer = await api.json('/api/v1/config', {
    query: flags.changed === true ? { changed: 'true' } : {},
    doing: 'reading the configuration',
  });
  const entries = rowsOf(answer.entries).filter(({ key }) => String(key).includes(part));
  if (flags.json === true) {
    await output.write(`${jsonText({ ...answer, entries }, 2)}\n`);
    return;
  }
  await writeTable(output, entryColumns, entries);
}

export async function setConfig(call: Call): Promise<void> {
  const tables: Record<string, Record<string, Json>> = {};
  for (const arg of call.args) {
    const [, table = '', key = '', value = ''] = /^([^=]+)\.([^.=]+)=(.*)$/s.exec(arg) ?? [];
    if (table === '') throw usage(`"${arg}" is not TABLE.KEY=VALUE`);
    tables[table] = { ...tables[table], [key]: parseValue(value) };
  }
  const answer = await call.api.json('/api/v1/config', {
    method: 'PATCH',
    body: tables,
    doing: 'changing the configuration',
  });
  await report(call, answer);
}

export async function reload(call: Call): Promise<void> {
  const answer = await call.api.json('/api/v1/reload', {
    method: 'POST',
    doing: 'reloading the configuration',
  });
  await report(call, answer);
}

/** true, 5, ["a"] as JSON; anything else is text. */
function parseValue(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

const parts = {
  live: 'in effect',
  new_connections: 'in effect for new connections',
  restart: 'not in effect before a restart',
  listeners_added: 'listener opened',
  listeners_removed: 'listener closed',
  listeners_changed: 'listener changed',
  reread: 'read anew',
  warnings: 'warning',
} as const;

async function report({ output, flags }: Call, answer: JsonObject): Promise<void> {
  if (flags.json === true) {
    await output.write(`${jsonText(answer, 2)}\n`);
    return;
  }
  let text = '';
  for (const [part, what] of Object.entries(parts)) {
    for (const each of (answer[part] ?? []) as readonly Json[])
      text += `${what}: ${changed(each)}\n`;
  }
  await output.write(text === '' ? 'nothing changed\n' : text);
}

function changed(each: Json): string {
  if (each === null || typeof each !== 'object' || Array.isArray(each)) return cell(each);
  const { key, from, to } = each as JsonObject;
  return `${cell(key)}: ${cell(from)} → ${cell(to)}`;
}
