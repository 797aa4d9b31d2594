/** Bans: list, add, take back. */
import { done } from './actions.js';
import type { JsonObject } from './api.js';
import { type Call, list, timeText } from './listings.js';
import { cell } from './output.js';
import { usage } from './parse.js';
import type { Column } from './table.js';

const kinds: readonly string[] = ['client', 'user', 'address'];

const columns: readonly Column<JsonObject>[] = [
  { title: 'KIND', of: ({ kind }) => cell(kind) },
  { title: 'VALUE', of: ({ value }) => cell(value) },
  { title: 'UNTIL', of: ({ expires_at }) => timeText(expires_at) },
  { title: 'BY', of: ({ source }) => cell(source) },
  { title: 'REASON', of: ({ reason }) => cell(reason) },
];

export function listBans(call: Call): Promise<void> {
  return list(call, columns, call.api.rows('/api/v1/bans', { query: {}, doing: 'listing bans' }));
}

export async function ban(call: Call): Promise<void> {
  const { kind, value } = named(call);
  const { seconds, reason } = call.flags;
  if (seconds !== undefined && !/^\d+$/.test(String(seconds))) {
    throw usage(`--seconds is a number, not ${seconds}`);
  }
  const body = {
    kind,
    value,
    ...(seconds === undefined ? {} : { seconds: Number(seconds) }),
    ...(reason === undefined ? {} : { reason }),
  };
  const doing = `banning ${kind} ${value}`;
  const answer = await call.api.json('/api/v1/bans', { method: 'POST', body, doing });
  await done(call, answer, `${kind} ${cell(value)} is banned`);
}

export async function unban(call: Call): Promise<void> {
  const { kind, value } = named(call);
  const doing = `taking back the ban of ${kind} ${value}`;
  const query = { kind, value };
  const answer = await call.api.json('/api/v1/bans', { method: 'DELETE', query, doing });
  await done(call, answer, `${kind} ${cell(value)} is not banned any more`);
}

function named({ args }: Call): { kind: string; value: string } {
  const [kind = '', value = ''] = args;
  if (kinds.includes(kind)) return { kind, value };
  throw usage(`what is banned is one of ${kinds.join(', ')}, not ${kind}`);
}
