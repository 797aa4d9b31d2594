/** One session in detail, and what can be done to it. */
import { useState } from 'preact/hooks';
import {
  type ClientDetail,
  type Page,
  part,
  request,
  type SubscriptionRow,
  versionName,
} from './api.js';
import { clientPlace, State } from './clients.js';
import * as format from './format.js';
import { useLive, useLoaded } from './hooks.js';
import { Confirm, Empty, Facts, Failure, Heading, Panel, Wide } from './parts.js';

const kRefreshMs = 2000;
const kSubscriptions = 200;

interface Loaded {
  readonly client: ClientDetail;
  readonly subscriptions: Page<SubscriptionRow>;
}

async function load(id: string, instance: number, signal: AbortSignal): Promise<Loaded> {
  const path = `api/v1/clients/${part(id)}`;
  const [client, subscriptions] = await Promise.all([
    request<ClientDetail>(path, { signal, query: { instance } }),
    request<Page<SubscriptionRow>>(`${path}/subscriptions`, {
      signal,
      query: { limit: kSubscriptions, instance },
    }),
  ]);
  return { client, subscriptions };
}

export function ClientPage({ id, instance }: { id: string; instance: number }) {
  const { data, error, reload } = useLoaded(
    `${instance} ${id}`,
    (signal) => load(id, instance, signal),
    kRefreshMs,
  );
  return (
    <>
      <Heading title={instance === 0 ? id : `${id} #${instance}`}>
        <a href="#/clients">All clients</a>
      </Heading>
      <Failure>{error}</Failure>
      {data !== undefined && <Detail {...data} onChange={reload} />}
    </>
  );
}

function Detail({ client, subscriptions, onChange }: Loaded & { onChange: () => void }) {
  const { connection } = client;
  const expiry = client.expiry_interval;
  return (
    <>
      <Actions client={client} onChange={onChange} />
      <div class="columns">
        <Panel title="Session">
          <Facts
            rows={[
              ['Began', format.moment(client.created_at)],
              [
                'Outlives its connection',
                expiry === 'never'
                  ? 'for ever'
                  : expiry === 0
                    ? 'no'
                    : format.duration(expiry * 1000),
              ],
              ['Last Clean Start', client.clean_start ? 'yes' : 'no'],
              [
                'Last connection ended',
                client.disconnected_at === null ? '–' : format.moment(client.disconnected_at),
              ],
              [
                'because',
                client.disconnected_reason === null
                  ? '–'
                  : format.words(client.disconnected_reason),
              ],
              ['I/O thread', client.thread],
              ...(client.instances.length === 0 && client.instance === 0
                ? []
                : [['Connections of this id', <Others client={client} />] as const]),
            ]}
          />
        </Panel>
        <Panel title="Connection">
          {connection === null ? (
            <Empty>It is not connected.</Empty>
          ) : (
            <Facts
              rows={[
                ['Since', client.connected_at === null ? '–' : format.moment(client.connected_at)],
                ['Address', <span class="mono">{client.address}</span>],
                ['Listener', client.listener ?? 'none (inside the process)'],
                ['User name', client.username ?? '–'],
                ['MQTT', client.proto_ver === null ? '–' : versionName[client.proto_ver]],
                ['Keep Alive', client.keepalive === 0 ? 'off' : `${client.keepalive} s`],
                ['Receive Maximum', format.count(connection.receive_maximum)],
                ['Maximum Packet Size', format.bytes(connection.maximum_packet_size)],
                [
                  'Reading paused by',
                  connection.paused_by.map(format.words).join(', ') || 'nothing',
                ],
              ]}
            />
          )}
        </Panel>
        <Panel title="Queues">
          <Facts
            rows={[
              ['Messages waiting', format.count(client.mqueue_len)],
              ['Their bytes', format.bytes(client.mqueue_bytes)],
              ['Sent, not acknowledged', format.count(client.inflight)],
              ['QoS 2 received, not released', format.count(client.inbound_inflight)],
              [
                'Dropped',
                <span class={client.dropped > 0 ? 'bad' : ''}>{format.count(client.dropped)}</span>,
              ],
              [
                'Bytes waiting for its socket',
                connection === null ? '–' : format.bytes(connection.outbound_bytes),
              ],
            ]}
          />
        </Panel>
        <Panel title="Will">
          {client.will === null ? (
            <Empty>{client.has_will ? '…' : 'It has none.'}</Empty>
          ) : (
            <Facts
              rows={[
                ['Topic', <span class="mono">{client.will.topic}</span>],
                ['QoS', client.will.qos],
                ['Retained', client.will.retain ? 'yes' : 'no'],
                ['Payload', format.bytes(client.will.payload_bytes)],
                ['Delay', `${client.will.delay} s`],
              ]}
            />
          )}
        </Panel>
      </div>
      <Subscriptions page={subscriptions} count={client.subscriptions_cnt} />
      <Window rows={client.window} count={client.inflight + client.inbound_inflight} />
    </>
  );
}

/** All connections of the Client Identifier, by their numbers. */
function Others({ client }: { client: ClientDetail }) {
  return (
    <>
      {[0, ...client.instances].map((instance) => (
        <span key={instance}>
          {instance === client.instance ? (
            `#${instance} `
          ) : (
            <a href={clientPlace({ clientid: client.clientid, instance })}>#{instance} </a>
          )}
        </span>
      ))}
    </>
  );
}

function Actions({ client, onChange }: { client: ClientDetail; onChange: () => void }) {
  const { hello } = useLive();
  const [asking, setAsking] = useState<'kick' | 'end'>();
  const [failure, setFailure] = useState<string>();
  const [done, setDone] = useState('');
  const role = hello?.caller.role ?? 'read';
  const path = `api/v1/clients/${part(client.clientid)}`;
  const act = async (what: 'kick' | 'end') => {
    setAsking(undefined);
    setFailure(undefined);
    try {
      await request(what === 'kick' ? path : `${path}/session`, {
        method: 'DELETE',
        query: { instance: client.instance },
      });
      setDone(what === 'kick' ? 'Its connection was closed.' : 'Its session was ended.');
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    }
    onChange();
  };
  return (
    <div class="row actions">
      <State row={client} />
      <span class="muted grow" role="status">
        {done}
      </span>
      {role !== 'read' && (
        <button type="button" disabled={!client.connected} onClick={() => setAsking('kick')}>
          Disconnect
        </button>
      )}
      {role === 'admin' && (
        <button type="button" onClick={() => setAsking('end')}>
          End session
        </button>
      )}
      <Failure>{failure}</Failure>
      {asking === 'kick' && (
        <Confirm
          title={`Disconnect ${client.clientid}?`}
          action="Disconnect"
          onYes={() => void act('kick')}
          onNo={() => setAsking(undefined)}
        >
          <p>Its connection is closed. A session that outlives it stays; it may connect again.</p>
        </Confirm>
      )}
      {asking === 'end' && (
        <Confirm
          title={`End the session of ${client.clientid}?`}
          action="End session"
          onYes={() => void act('end')}
          onNo={() => setAsking(undefined)}
        >
          <p>
            Its connection is closed; {format.count(client.subscriptions_cnt)} subscriptions and{' '}
            {format.count(client.mqueue_len)} waiting messages are lost.
          </p>
        </Confirm>
      )}
    </div>
  );
}

function Subscriptions({ page, count }: { page: Page<SubscriptionRow>; count: number }) {
  const isPart = page.next !== null;
  return (
    <Panel
      title="Subscriptions"
      aside={
        isPart && (
          <span class="muted">
            the first {page.items.length} of {format.count(count)}
          </span>
        )
      }
    >
      {page.items.length === 0 ? (
        <Empty>It has none.</Empty>
      ) : (
        <Wide label="Table of subscriptions">
          <table>
            <thead>
              <tr>
                <th scope="col">Topic Filter</th>
                <th scope="col">QoS</th>
                <th scope="col">Options</th>
              </tr>
            </thead>
            <tbody>
              {page.items.map((row) => (
                <tr key={row.topic}>
                  <th scope="row" class="mono">
                    {row.topic}
                  </th>
                  <td>{row.qos}</td>
                  <td>{optionsOf(row)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      )}
    </Panel>
  );
}

function optionsOf(row: SubscriptionRow): string {
  const options: string[] = [];
  if (row.share !== null) options.push(`shared as ${row.share}`);
  if (row.no_local) options.push('No Local');
  if (row.retain_as_published) options.push('Retain As Published');
  if (row.retain_handling > 0) options.push(`Retain Handling ${row.retain_handling}`);
  if (row.subscription_id !== null) options.push(`Identifier ${row.subscription_id}`);
  return options.join(', ');
}

function Window({ rows, count }: { rows: ClientDetail['window']; count: number }) {
  return (
    <Panel
      title="Window"
      aside={
        count > rows.length && (
          <span class="muted">
            the first {rows.length} of {format.count(count)}
          </span>
        )
      }
    >
      {rows.length === 0 ? (
        <Empty>No message waits to be acknowledged.</Empty>
      ) : (
        <Wide label="Table of messages in the window">
          <table>
            <thead>
              <tr>
                <th scope="col">Packet id</th>
                <th scope="col">Direction</th>
                <th scope="col">QoS</th>
                <th scope="col">State</th>
                <th scope="col">Topic</th>
                <th scope="col" class="number">
                  Payload
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={`${row.direction}${row.packet_id}`}>
                  <th scope="row">{row.packet_id}</th>
                  <td>{row.direction === 'out' ? 'to the client' : 'from the client'}</td>
                  <td>{row.qos}</td>
                  <td>{format.words(row.state)}</td>
                  <td class="mono">{row.topic}</td>
                  <td class="number">{format.bytes(row.payload_bytes)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      )}
    </Panel>
  );
}
