/** Packet traces: list, start, stop. */
import { done } from './actions.js';
import type { JsonObject } from './api.js';
import { type Call, rowsOf, timeText } from './listings.js';
import { cell, jsonText } from './output.js';
import { usage } from './parse.js';
import { type Column, writeTable } from './table.js';

const columns: readonly Column<JsonObject>[] = [
  { title: 'NUMBER', of: ({ id }) => cell(id), align: 'right' },
  { title: 'CLIENT', of: ({ clientid }) => cell(clientid ?? '') },
  { title: 'ADDRESS', of: ({ address }) => cell(address ?? '') },
  { title: 'TOPIC', of: ({ topic }) => cell(topic ?? '') },
  { title: 'TO', of: ({ to }) => cell(to) },
  { title: 'ENDS', of: ({ ends_at }) => timeText(ends_at) },
  { title: 'PACKETS', of: ({ packets }) => cell(packets), align: 'right' },
  { title: 'LEFT OUT', of: ({ suppressed }) => cell(suppressed), align: 'right' },
];

export async function listTraces(call: Call): Promise<void> {
  const answer = await call.api.json('/api/v1/traces', { doing: 'listing traces' });
  await show(call, answer, rowsOf(answer.items));
}

export async function startTrace(call: Call): Promise<void> {
  const { client, address, topic, seconds, rate } = call.flags;
  if (client === undefined && address === undefined && topic === undefined) {
    throw usage('trace start needs --client, --address or --topic');
  }
  const file = call.flags['to-file'];
  const body = {
    ...(client === undefined ? {} : { clientid: client }),
    ...(address === undefined ? {} : { address }),
    ...(topic === undefined ? {} : { topic }),
    ...(seconds === undefined ? {} : { seconds: numberOf('seconds', seconds) }),
    ...(rate === undefined ? {} : { max_per_second: numberOf('rate', rate) }),
    ...(file === undefined ? {} : { file }),
  };
  const doing = 'starting a trace';
  const answer = await call.api.json('/api/v1/traces', { method: 'POST', body, doing });
  await show(call, answer, [answer]);
}

export async function stopTrace(call: Call): Promise<void> {
  const [id = ''] = call.args;
  const doing = `stopping trace ${id}`;
  const path = `/api/v1/traces/${encodeURIComponent(id)}`;
  const answer = await call.api.json(path, { method: 'DELETE', doing });
  await done(call, answer, `trace ${cell(answer.id)} is stopped`);
}

async function show(
  { output, flags }: Call,
  answer: JsonObject,
  rows: readonly JsonObject[],
): Promise<void> {
  if (flags.json === true) await output.write(`${jsonText(answer, 2)}\n`);
  else await writeTable(output, columns, rows);
}

function numberOf(flag: string, text: string | true): number {
  if (/^\d+$/.test(String(text))) return Number(text);
  throw usage(`--${flag} is a number, not ${text}`);
}
