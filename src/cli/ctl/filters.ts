/** Logs of what nobody had subscribed to: list, delete. */
import { done } from './actions.js';
import type { JsonObject } from './api.js';
import { type Call, list, timeText } from './listings.js';
import { cell } from './output.js';
import type { Column } from './table.js';

const numbers = (title: string, key: string): Column<JsonObject> => ({
  title,
  of: (row) => cell(row[key]),
  align: 'right',
});

const columns: readonly Column<JsonObject>[] = [
  {
    title: 'FILTER',
    of: ({ filter, initialized }) =>
      `${cell(filter)}${initialized === true ? ' (initialized)' : ''}`,
  },
  numbers('MESSAGES', 'messages'),
  numbers('BYTES', 'bytes'),
  numbers('SEGMENTS', 'segments'),
  numbers('APPENDED', 'appended'),
  numbers('LOST', 'lost'),
  { title: 'WRITTEN', of: ({ written_at }) => timeText(written_at) },
];

export function listFilters(call: Call): Promise<void> {
  const doing = 'listing filters with a log';
  return list(call, columns, call.api.rows('/api/v1/filters', { query: {}, doing }));
}

export async function deleteFilter(call: Call): Promise<void> {
  const [filter = ''] = call.args;
  const doing = `deleting the log of "${filter}"`;
  const answer = await call.api.json('/api/v1/filters', {
    method: 'DELETE',
    query: { filter },
    doing,
  });
  await done(call, answer, `the log of ${cell(filter)} is deleted`);
}
