/** Plugins: list, load, unload, reload. */
import { done } from './actions.js';
import type { JsonObject } from './api.js';
import { type Call, rowsOf } from './listings.js';
import { cell, jsonText } from './output.js';
import { type Column, writeTable } from './table.js';

const columns: readonly Column<JsonObject>[] = [
  { title: 'NAME', of: ({ name }) => cell(name) },
  { title: 'STATE', of: ({ state }) => cell(state) },
  { title: 'FROM', of: ({ from }) => cell(from) },
  { title: 'COUNTS', of: ({ counts }) => countsOf(counts) },
  { title: 'DOES', of: ({ description, error }) => cell(error ?? description) },
];

function countsOf(counts: unknown): string {
  if (typeof counts !== 'object' || counts === null) return '';
  return Object.entries(counts)
    .map(([name, count]) => `${name}=${String(count)}`)
    .join(' ');
}

export async function listPlugins({ api, output, flags }: Call): Promise<void> {
  const answer = await api.json('/api/v1/plugins', { doing: 'listing plugins' });
  const rows = rowsOf(answer.items);
  if (flags.json !== true) return writeTable(output, columns, rows);
  for (const row of rows) await output.write(`${jsonText(row)}\n`);
}

export const loadPlugin = (call: Call): Promise<void> => change(call, 'load', 'loading');
export const unloadPlugin = (call: Call): Promise<void> => change(call, 'unload', 'unloading');
export const reloadPlugin = (call: Call): Promise<void> => change(call, 'reload', 'reloading');

async function change(call: Call, what: string, doing: string): Promise<void> {
  const [name = ''] = call.args;
  const answer = await call.api.json(`/api/v1/plugins/${encodeURIComponent(name)}/${what}`, {
    method: 'POST',
    doing: `${doing} the plugin "${name}"`,
  });
  await done(call, answer, `${cell(name)} is ${cell(answer.state)}`);
}
