/** All sessions, connected or not: searched by the broker, a page at a time. */
import { useState } from 'preact/hooks';
import { type ClientRow, type Page, request, versionName } from './api.js';
import * as format from './format.js';
import { useLoaded, useSettled } from './hooks.js';
import { Empty, Failure, Field, Heading, Wide } from './parts.js';

const kRows = 50;
const kRefreshMs = 5000;
/** One request looks at a bounded number of sessions; so many are made for one page. */
const kMaxRequests = 20;

const fields = [
  { name: 'clientid', title: 'Client id' },
  { name: 'username', title: 'User name' },
  { name: 'address', title: 'Address' },
] as const;
type FieldName = (typeof fields)[number]['name'];
type Which = 'all' | 'online' | 'offline';

interface Asked {
  readonly field: FieldName;
  readonly text: string;
  readonly which: Which;
  readonly cursor: string | undefined;
}

interface Found {
  readonly rows: readonly ClientRow[];
  readonly next: string | null;
  /** The search gave up before the end, with fewer rows than a page has. */
  readonly scanned: number;
}

async function find({ field, text, which, cursor }: Asked, signal: AbortSignal): Promise<Found> {
  const rows: ClientRow[] = [];
  let next: string | null = cursor ?? null;
  let scanned = 0;
  for (let at = 0; at < kMaxRequests; at++) {
    const page: Page<ClientRow> = await request('api/v1/clients', {
      signal,
      query: {
        limit: kRows - rows.length,
        cursor: next ?? undefined,
        [`_like_${field}`]: text,
        connected: which === 'all' ? undefined : which === 'online',
      },
    });
    rows.push(...page.items);
    next = page.next;
    scanned += page.scanned;
    if (next === null || rows.length >= kRows) break;
  }
  return { rows, next, scanned };
}

export function ClientsPage() {
  const [field, setField] = useState<FieldName>('clientid');
  const [typed, setTyped] = useState('');
  const [which, setWhich] = useState<Which>('all');
  /** Of the pages that were turned; the last one is shown. */
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const text = useSettled(typed);
  const asked: Asked = { field, text, which, cursor: cursors.at(-1) };
  const { data, error, loading } = useLoaded(
    JSON.stringify(asked),
    (signal) => find(asked, signal),
    kRefreshMs,
  );
  const again = () => setCursors([]);
  const next = data?.next ?? null;
  return (
    <>
      <Heading title="Clients" />
      <search class="row">
        <Field label="Search" class="grow">
          <input
            type="search"
            value={typed}
            placeholder="any part of it"
            spellcheck={false}
            onInput={({ currentTarget }) => {
              setTyped(currentTarget.value);
              again();
            }}
          />
        </Field>
        <Field label="in">
          <select
            value={field}
            onChange={({ currentTarget }) => {
              setField(currentTarget.value as FieldName);
              again();
            }}
          >
            {fields.map(({ name, title }) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Show">
          <select
            value={which}
            onChange={({ currentTarget }) => {
              setWhich(currentTarget.value as Which);
              again();
            }}
          >
            <option value="all">All</option>
            <option value="online">Connected</option>
            <option value="offline">Offline</option>
          </select>
        </Field>
      </search>
      <Failure>{error}</Failure>
      <div class="panel" aria-busy={loading}>
        {data !== undefined && data.rows.length > 0 && <ClientTable rows={data.rows} />}
        {data !== undefined && data.rows.length === 0 && (
          <Empty>
            {text === '' && which === 'all' ? 'There is no session.' : 'No session fits.'}
          </Empty>
        )}
        <div class="row foot">
          <span class="muted grow" role="status">
            {data === undefined ? '…' : `${format.count(data.rows.length)} sessions on this page`}
          </span>
          <button
            type="button"
            disabled={cursors.length === 0}
            onClick={() => setCursors(cursors.slice(0, -1))}
          >
            Previous
          </button>
          <button
            type="button"
            disabled={next === null || loading}
            onClick={() => next !== null && setCursors([...cursors, next])}
          >
            Next
          </button>
        </div>
      </div>
    </>
  );
}

function ClientTable({ rows }: { rows: readonly ClientRow[] }) {
  return (
    <Wide label="Table of clients">
      <table>
        <thead>
          <tr>
            <th scope="col">Client id</th>
            <th scope="col">State</th>
            <th scope="col">User name</th>
            <th scope="col">Address</th>
            <th scope="col">MQTT</th>
            <th scope="col" class="number">
              Subscriptions
            </th>
            <th scope="col" class="number">
              Queued
            </th>
            <th scope="col" class="number">
              In flight
            </th>
            <th scope="col" class="number">
              Dropped
            </th>
            <th scope="col">Since</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.instance} ${row.clientid}`}>
              <th scope="row" class="mono">
                <a href={clientPlace(row)}>{row.clientid}</a>
                {row.instance > 0 && <span class="muted"> #{row.instance}</span>}
              </th>
              <td>
                <State row={row} />
              </td>
              <td>{row.username ?? ''}</td>
              <td class="mono nowrap">{row.address}</td>
              <td>{row.proto_ver === null ? '' : versionName[row.proto_ver]}</td>
              <td class="number">{format.count(row.subscriptions_cnt)}</td>
              <td class="number">{format.count(row.mqueue_len)}</td>
              <td class="number">{format.count(row.inflight)}</td>
              <td class={`number ${row.dropped > 0 ? 'bad' : ''}`}>{format.count(row.dropped)}</td>
              <td class="nowrap">{since(row)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

/** Which of several connections of one Client Identifier, if not the first, behind a "?". */
export function clientPlace({ clientid, instance }: Pick<ClientRow, 'clientid' | 'instance'>) {
  const which = instance === 0 ? '' : `?${instance}`;
  return `#/clients/${encodeURIComponent(clientid)}${which}`;
}

export function State({ row }: { row: ClientRow }) {
  if (row.connected) return <span class="badge good">connected</span>;
  return (
    <span class="badge" title={row.disconnected_reason ?? ''}>
      offline
    </span>
  );
}

function since(row: ClientRow): string {
  const at = row.connected ? row.connected_at : row.disconnected_at;
  return at === null ? '' : format.duration(Date.now() - at);
}
