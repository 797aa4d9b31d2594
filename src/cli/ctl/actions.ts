/** The commands that show one thing or do one. */
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { messageOf } from '../../errors.js';
import { type JsonObject, refused } from './api.js';
import { type Call, instanceOf, rowsOf, timeText } from './listings.js';
import { cell, fieldLines, jsonText } from './output.js';
import { usage } from './parse.js';
import { type Column, writeTable } from './table.js';

type Row = JsonObject;

export async function status({ api, output, flags }: Call): Promise<void> {
  const doing = 'asking for the status';
  const [brokers, nodes, stats] = await Promise.all([
    api.json('/api/v1/brokers', { doing }),
    api.json('/api/v1/nodes', { doing }),
    api.json('/api/v1/stats/sum', { doing }),
  ]);
  const [broker = {}] = rowsOf(brokers);
  const [node = {}] = rowsOf(nodes);
  const numbers = (stats.stats ?? {}) as JsonObject;
  if (flags.json === true) {
    await output.write(`${jsonText({ broker, node, stats: numbers }, 2)}\n`);
    return;
  }
  const listeners = rowsOf(broker.listeners);
  await output.write(
    fieldLines({
      broker: `${cell(broker.version)}, node ${cell(broker.node_id)} (Node.js ${cell(broker.node_version)})`,
      state: broker.running === true ? 'running' : 'stopping',
      started: timeText(broker.started_at),
      uptime: broker.uptime ?? '',
      memory_bytes: node.process_memory ?? '',
      listeners: listeners.map(({ name, address }) => `${cell(name)} ${cell(address)}`).join(', '),
    }),
  );
  await output.write(`\n${fieldLines(numbers)}`);
}

export async function showClient(call: Call): Promise<void> {
  const { api, output, args, flags } = call;
  const [id = ''] = args;
  const doing = `looking at client "${id}"`;
  const query = instanceOf(call);
  const detail = await api.json(`/api/v1/clients/${encodeURIComponent(id)}`, { doing, query });
  if (flags.json === true) {
    await output.write(`${jsonText(detail, 2)}\n`);
    return;
  }
  const { window, ...fields } = detail;
  const times: Record<string, string> = {};
  for (const key of ['created_at', 'connected_at', 'disconnected_at']) {
    times[key] = timeText(fields[key]);
  }
  await output.write(fieldLines({ ...fields, ...times }));
  const rows = rowsOf(window);
  if (rows.length === 0) return;
  await output.write('\nwindow\n');
  await writeTable(output, windowColumns, rows);
}

const windowColumns: readonly Column<Row>[] = [
  { title: 'ID', of: ({ packet_id }) => cell(packet_id), align: 'right' },
  { title: 'WAY', of: ({ direction }) => cell(direction) },
  { title: 'QOS', of: ({ qos }) => cell(qos), align: 'right' },
  { title: 'STATE', of: ({ state }) => cell(state) },
  { title: 'TOPIC', of: ({ topic }) => cell(topic) },
  { title: 'BYTES', of: ({ payload_bytes }) => cell(payload_bytes), align: 'right' },
];

export async function kick(call: Call): Promise<void> {
  const [id = ''] = call.args;
  const { reason } = call.flags;
  const answer = await call.api.json(`/api/v1/clients/${encodeURIComponent(id)}`, {
    method: 'DELETE',
    query: { ...(typeof reason === 'string' ? { reason } : {}), ...instanceOf(call) },
    doing: `closing the connection of "${id}"`,
  });
  await done(call, answer, 'closed');
}

export async function endSession(call: Call): Promise<void> {
  const [id = ''] = call.args;
  const answer = await call.api.json(`/api/v1/clients/${encodeURIComponent(id)}/session`, {
    method: 'DELETE',
    query: instanceOf(call),
    doing: `ending the session of "${id}"`,
  });
  await done(call, answer, 'ended');
}

export async function getRetained({ api, output, args, flags }: Call): Promise<void> {
  const [topic = ''] = args;
  const doing = `reading what is retained for "${topic}"`;
  const answer = await api.json('/api/v1/retains/message', { query: { topic }, doing });
  if (flags.json === true) {
    await output.write(`${jsonText(answer, 2)}\n`);
    return;
  }
  const { payload, encoding } = answer;
  const bytes = Buffer.from(String(payload), encoding === 'base64' ? 'base64' : 'utf8');
  await output.writeBytes(bytes);
}

export async function deleteRetained(call: Call): Promise<void> {
  const [topic = ''] = call.args;
  const answer = await call.api.json('/api/v1/retains', {
    method: 'DELETE',
    query: { topic },
    doing: `deleting what is retained for "${topic}"`,
  });
  await done(call, answer, 'deleted');
}

export async function publish(call: Call): Promise<void> {
  const [topic = ''] = call.args;
  const { client, retain } = call.flags;
  const body = {
    topic,
    ...(await payloadOf(call, call.args[1])),
    qos: qosOf(call),
    retain: retain === true,
    ...(typeof client === 'string' ? { clientid: client } : {}),
  };
  await results(call, '/api/v1/mqtt/publish', body, `publishing to "${topic}"`);
}

export async function write(call: Call): Promise<void> {
  const [clientid = '', topic = '', given] = call.args;
  const { queue } = call.flags;
  const body = {
    clientid,
    topic,
    ...(await payloadOf(call, given)),
    qos: qosOf(call),
    queue: queue === true,
    ...instanceBody(call),
  };
  const doing = `writing to "${clientid}"`;
  const answer = await call.api.json('/api/v1/mqtt/write', { method: 'POST', body, doing });
  const [{ outcome, reason, reason_code } = {}] = rowsOf(answer.results);
  const code = reason_code === 0 ? '' : ` 0x${Number(reason_code).toString(16)}`;
  const why = reason === '' ? '' : `: ${cell(reason)}${code}`;
  await done(call, answer, `${cell(outcome)}${why}`);
  if (answer.ok !== true) throw refused(doing, 'it was not delivered');
}

async function payloadOf(
  { flags }: Call,
  given: string | undefined,
): Promise<{ payload: string; encoding: 'plain' | 'base64' }> {
  const { file } = flags;
  if ((given === undefined) === (file === undefined)) {
    throw usage('a message has one payload: PAYLOAD, - for standard input, or --file PATH');
  }
  if (given !== undefined && given !== '-') return { payload: given, encoding: 'plain' };
  const bytes = typeof file === 'string' ? await read(file) : await buffer(process.stdin);
  return { payload: bytes.toString('base64'), encoding: 'base64' };
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw refused('reading the payload', messageOf(error));
  }
}

export async function subscribe(call: Call): Promise<void> {
  const [clientid = '', ...topics] = call.args;
  const body = { clientid, topics, qos: qosOf(call), ...instanceBody(call) };
  await results(call, '/api/v1/mqtt/subscribe', body, `subscribing "${clientid}"`);
}

export async function unsubscribe(call: Call): Promise<void> {
  const [clientid = '', ...topics] = call.args;
  await results(
    call,
    '/api/v1/mqtt/unsubscribe',
    { clientid, topics, ...instanceBody(call) },
    `unsubscribing "${clientid}"`,
  );
}

function instanceBody(call: Call): { readonly instance?: number } {
  const { instance } = instanceOf(call);
  return instance === undefined ? {} : { instance: Number(instance) };
}

function qosOf({ flags: { qos } }: Call): number {
  if (qos === undefined) return 0;
  if (qos === '0' || qos === '1' || qos === '2') return Number(qos);
  throw usage(`--qos is 0, 1 or 2, not ${qos}`);
}

/** A Reason Code for each topic; one that is an error makes all of it one. */
async function results(call: Call, path: string, body: object, doing: string): Promise<void> {
  const answer = await call.api.json(path, { method: 'POST', body, doing });
  const rows = rowsOf(answer.results);
  if (call.flags.json === true) {
    await call.output.write(`${jsonText(answer, 2)}\n`);
  } else {
    for (const { topic, reason_code, reason } of rows) {
      const code = Number(reason_code).toString(16).padStart(2, '0');
      await call.output.write(`${cell(topic)}: 0x${code} ${cell(reason)}\n`);
    }
  }
  if (answer.ok !== true) throw refused(doing, 'not all of it was granted');
}

export async function getLogFilter(call: Call): Promise<void> {
  const doing = 'reading the log filter';
  const answer = await call.api.json('/api/v1/log/filter', { doing });
  await done(call, answer, cell(answer.filter));
}

export async function setLogFilter(call: Call): Promise<void> {
  const [filter = ''] = call.args;
  const answer = await call.api.json('/api/v1/log/filter', {
    method: 'PUT',
    body: { filter },
    doing: 'setting the log filter',
  });
  await done(call, answer, cell(answer.filter));
}

/** Tells that a change was made: `text`, or with --json the whole answer. */
export async function done(
  { output, flags }: Call,
  answer: JsonObject,
  text: string,
): Promise<void> {
  await output.write(flags.json === true ? `${jsonText(answer, 2)}\n` : `${text}\n`);
}

export async function metrics({ api, output, args, flags }: Call): Promise<void> {
  const doing = 'reading the metrics';
  if (flags.prometheus === true) {
    await output.write(await api.text('/api/v1/metrics/prometheus', { doing }));
    return;
  }
  const [counters, stats] = await Promise.all([
    api.json('/api/v1/metrics/sum', { doing }),
    api.json('/api/v1/stats/sum', { doing }),
  ]);
  const [part = ''] = args;
  const all = { ...(stats.stats as JsonObject), ...(counters.metrics as JsonObject) };
  const found = Object.entries(all).filter(([name]) => name.includes(part));
  if (flags.json === true) {
    await output.write(`${jsonText(Object.fromEntries(found), 2)}\n`);
    return;
  }
  await writeTable(
    output,
    [
      { title: 'NAME', of: ([name]) => cell(name) },
      { title: 'VALUE', of: ([, value]) => cell(value), align: 'right' },
    ],
    found,
  );
}
