/** Rates, latency and losses as they are now. */

import { causeText } from './causes.js';
import { Chart, type Series } from './chart.js';
import * as format from './format.js';
import { useLive } from './hooks.js';
import type { Tick } from './live.js';
import { Empty, Heading, Panel } from './parts.js';

const messages: readonly Series[] = [
  { label: 'in', color: '--s1', of: (tick) => tick.messagesIn },
  { label: 'out', color: '--s2', of: (tick) => tick.messagesOut },
];
const traffic: readonly Series[] = [
  { label: 'in', color: '--s1', of: (tick) => tick.bytesIn },
  { label: 'out', color: '--s2', of: (tick) => tick.bytesOut },
];
const latency: readonly Series[] = [
  { label: 'p99', color: '--s3', of: (tick) => tick.latency?.p99 ?? null },
  { label: 'p50', color: '--s1', of: (tick) => tick.latency?.p50 ?? null },
];
const losses: readonly Series[] = [
  { label: 'messages dropped', color: '--bad', of: (tick) => tick.drops },
];
const comings: readonly Series[] = [
  { label: 'opened', color: '--s1', of: (tick) => tick.connects },
  { label: 'closed', color: '--s2', of: (tick) => tick.disconnects },
  { label: 'refused', color: '--s3', of: (tick) => tick.refused },
];
const clients: readonly Series[] = [
  { label: 'connected', color: '--s1', of: (tick) => tick.now.connected },
];

const perSecond = (value: number) => `${format.rate(value)}/s`;
const bytesPerSecond = (value: number) => `${format.traffic(value)}/s`;

export function OverviewPage() {
  const { ticks, hello } = useLive();
  const last = ticks.at(-1);
  return (
    <>
      <Heading title="Overview">
        {hello !== undefined && (
          <p class="muted">
            {hello.broker.listeners.map(({ name, address }) => `${name} ${address}`).join(' · ')}
          </p>
        )}
      </Heading>
      <Tiles tick={last} />
      <div class="charts">
        <Chart
          title="Messages"
          {...{ ticks, series: messages }}
          show={perSecond}
          axis={format.axis}
        />
        <Chart
          title="Bytes"
          {...{ ticks, series: traffic }}
          show={bytesPerSecond}
          axis={format.bytesAxis}
        />
        <Chart
          title="Delivery latency"
          {...{ ticks, series: latency }}
          show={format.seconds}
          axis={format.secondsAxis}
        />
        <Chart title="Losses" {...{ ticks, series: losses }} show={perSecond} axis={format.axis} />
        <Chart
          title="Clients"
          {...{ ticks, series: clients }}
          show={format.count}
          axis={format.axis}
        />
        <Chart
          title="Connections"
          {...{ ticks, series: comings }}
          show={perSecond}
          axis={format.axis}
        />
      </div>
      <div class="charts">
        <Causes
          title="Dropped messages by cause"
          none="No message was dropped since the start."
          counts={last?.now.drops}
          before={ticks.at(-2)?.now.drops}
        />
        <Causes
          title="Refused connections by cause"
          none="No connection was refused since the start."
          counts={last?.now.refused}
          before={ticks.at(-2)?.now.refused}
        />
      </div>
    </>
  );
}

function Tiles({ tick }: { tick: Tick | undefined }) {
  const now = tick?.now;
  const shown = (value: number | undefined, show = format.count) =>
    value === undefined ? '–' : show(value);
  const versions = Object.entries(now?.connectedByVersion ?? {})
    .filter(([, count]) => count > 0)
    .map(([version, count]) => `${format.count(count)} × ${version}`)
    .join(', ');
  const tiles = [
    { name: 'Connected', value: shown(now?.connected), more: versions },
    { name: 'Sessions', value: shown(now?.sessions), more: '' },
    { name: 'Subscriptions', value: shown(now?.subscriptions), more: '' },
    {
      name: 'Retained',
      value: shown(now?.retained),
      more: now === undefined ? '' : format.bytes(now.retainedBytes),
    },
    {
      name: 'Queued',
      value: shown(now?.queued),
      more: now === undefined ? '' : `${format.count(now.inFlight)} in flight`,
    },
    {
      name: 'Memory',
      value: shown(now?.rss, format.bytes),
      more: now === undefined ? '' : `${format.bytes(now.messageBytes)} of messages`,
    },
  ];
  return (
    <dl class="tiles">
      {tiles.map(({ name, value, more }) => (
        <div key={name} class="panel tile" data-tile={name.toLowerCase()}>
          <dt>{name}</dt>
          <dd>
            {value}
            <small>{more}</small>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Causes(props: {
  readonly title: string;
  readonly none: string;
  readonly counts: Readonly<Record<string, number>> | undefined;
  readonly before: Readonly<Record<string, number>> | undefined;
}) {
  const rows = Object.entries(props.counts ?? {}).sort(([, a], [, b]) => b - a);
  return (
    <Panel title={props.title}>
      {rows.length === 0 ? (
        <Empty>{props.counts === undefined ? '…' : props.none}</Empty>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Cause</th>
              <th scope="col" class="number">
                Since the start
              </th>
              <th scope="col" class="number">
                Last second
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([cause, total]) => {
              const recent = Math.max(0, total - (props.before?.[cause] ?? total));
              return (
                <tr key={cause}>
                  <td>{causeText(cause)}</td>
                  <td class="number">{format.count(total)}</td>
                  <td class={`number ${recent > 0 ? 'bad' : 'muted'}`}>{format.count(recent)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
    </Panel>
  );
}
