// From rounds to verdicts, and both as text: one line per row and broker on the terminal, and
// RESULTS.md for readers.
import { figure, spread, withSpread } from './statistics.mjs';

const figures = [
  'brokerCpuUs',
  'perSecond',
  'p50us',
  'p99us',
  'bytesEach',
  'brokerRssKib',
  'generatorBusy',
  'foreignBusy',
  'rssMib',
  'startMs',
  'startBeyondNodeMs',
  'freshRssKib',
  'heldRssKib',
  'topRssKib',
  'afterRssKib',
  'subscribeCpuUs',
  'closeCpuUs',
  'capacity',
  'apartCpuUs',
];
const faults = ['lost', 'doubled', 'disordered', 'refused'];

function summarizeBroker(reports) {
  const good = reports.filter(({ error }) => error === undefined);
  const summary = { rounds: good.length, errors: reports.flatMap(({ error }) => error ?? []) };
  for (const name of figures) {
    const range = spread(good.map((report) => report[name]));
    if (range !== undefined) summary[name] = range;
  }
  for (const name of faults) {
    summary[name] = good.reduce((sum, report) => sum + (report[name] ?? 0), 0);
  }
  return summary;
}

function verdictOf(metric, ours, reports, other) {
  const value = metric.against === undefined ? ours[metric.key] : undefined;
  let share = value;
  if (metric.against !== undefined) {
    // Rounds stand beside each other in time, so each is compared with its neighbour.
    share = spread(
      reports.map((report, round) => report[metric.key] / (other?.[round]?.[metric.key] ?? NaN)),
    );
  }
  const met = share === undefined ? undefined : metric.atMost && share.median <= metric.atMost;
  return { ...metric, share, met };
}

/** { id, title, brokers: {name: summary}, verdicts: [...], gain? } */
export function summarize(row, results) {
  const brokers = {};
  for (const [name, reports] of Object.entries(results)) brokers[name] = summarizeBroker(reports);
  const summary = { id: row.id, title: row.title, kind: row.kind, brokers, verdicts: [] };
  if (row.kind === 'threads') {
    const key = row.p99AtMost === undefined ? 'capacity' : 'p99us';
    const share = spread(
      results['2'].map((report, round) => report[key] / results['1'][round][key]),
    );
    const verdict =
      key === 'capacity'
        ? { label: 'gain', atLeast: row.atLeast, met: share && share.median >= row.atLeast }
        : { label: 'p99', atMost: row.p99AtMost, met: share && share.median <= row.p99AtMost };
    summary.verdicts.push({ ...verdict, share, against: 'one thread' });
    return summary;
  }
  for (const metric of row.metrics) {
    const name = metric.of ?? 'st-mqttd';
    const ours = results[name];
    if (ours === undefined) summary.verdicts.push({ ...metric, share: undefined, met: undefined });
    else summary.verdicts.push(verdictOf(metric, brokers[name], ours, results[metric.against]));
  }
  return summary;
}

const bound = ({ atMost, atLeast }) =>
  atLeast === undefined ? figure(atMost) : `≥ ${figure(atLeast)}`;
const word = ({ met }) => (met === undefined ? 'no figure' : met ? 'met' : 'missed');

/** What the terminal shows of a row. */
export function rowText(summary) {
  const lines = [`\n${summary.title} [${summary.id}]`];
  for (const [name, broker] of Object.entries(summary.brokers)) {
    const label = summary.kind === 'threads' ? `${name} thread${name === '1' ? '' : 's'}` : name;
    const parts = [];
    if (broker.brokerCpuUs) parts.push(`CPU ${withSpread(broker.brokerCpuUs)} µs`);
    if (broker.apartCpuUs) parts.push(`(pairs apart: ${withSpread(broker.apartCpuUs)} µs)`);
    if (broker.perSecond) parts.push(`${figure(broker.perSecond.median)}/s`);
    if (broker.p50us) parts.push(`p50 ${figure(broker.p50us.median)} µs`);
    if (broker.p99us) parts.push(`p99 ${figure(broker.p99us.median)} µs`);
    if (broker.bytesEach) parts.push(`${withSpread(broker.bytesEach)} B each`);
    if (broker.rssMib) parts.push(`${withSpread(broker.rssMib)} MiB`);
    if (broker.startMs) parts.push(`start ${withSpread(broker.startMs)} ms`);
    if (broker.subscribeCpuUs) parts.push(`subscribe ${figure(broker.subscribeCpuUs.median)} µs`);
    if (broker.topRssKib) {
      const [fresh, top, after] = ['freshRssKib', 'topRssKib', 'afterRssKib'].map((key) =>
        figure(broker[key].median),
      );
      parts.push(`${fresh} → ${top} → ${after} KiB`);
    }
    const found = faults.filter((fault) => broker[fault] > 0);
    if (found.length > 0) parts.push(found.map((fault) => `${broker[fault]} ${fault}`).join(', '));
    if (broker.generatorBusy?.median > 0.97 && !summary.id.startsWith('open')) {
      parts.push('(generator saturated)');
    }
    if (broker.foreignBusy?.median > 0.1) {
      parts.push(`(noisy: ${figure(broker.foreignBusy.median)} cores busy with something else)`);
    }
    for (const error of broker.errors) parts.push(`FAILED: ${error.split('\n')[0]}`);
    lines.push(`  ${label.padEnd(18)} ${parts.join('  ')}`);
  }
  for (const verdict of summary.verdicts) {
    if (verdict.atMost === undefined && verdict.atLeast === undefined) continue;
    const unit = verdict.unit === undefined ? '' : ` ${verdict.unit}`;
    const against = verdict.against === undefined ? '' : ` of ${verdict.against}'s`;
    lines.push(
      `  → ${verdict.label}: ${withSpread(verdict.share)}${unit}${against}, wanted ${bound(verdict)}${unit}: ${word(verdict)}`,
    );
  }
  return lines.join('\n');
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function cpuCell(summary, name) {
  return withSpread(summary.brokers[name]?.brokerCpuUs);
}

/** RESULTS.md of a whole run. */
export function resultsText({ machine, date, options, skipped, summaries }) {
  const verdicts = summaries.flatMap((summary) =>
    summary.verdicts
      .filter(({ atMost, atLeast }) => atMost !== undefined || atLeast !== undefined)
      .map((verdict) => [
        `${summary.title}${summary.verdicts.length > 1 || verdict.unit ? `: ${verdict.label}` : ''}`,
        `${withSpread(verdict.share)}${verdict.unit ? ` ${verdict.unit}` : ''}`,
        `${bound(verdict)}${verdict.unit ? ` ${verdict.unit}` : ''}`,
        verdict.fastestKnown === undefined ? '' : figure(verdict.fastestKnown),
        word(verdict),
      ]),
  );
  const loads = summaries.filter(({ kind }) => kind === 'load');
  const costs = loads
    .filter(({ brokers }) => Object.values(brokers).some(({ brokerCpuUs }) => brokerCpuUs))
    .map((summary) => [
      summary.title,
      ...['st-mqttd', 'mosquitto', 'aedes', 'relay'].map((name) => cpuCell(summary, name)),
    ]);
  const each = (figureOf) =>
    summaries.flatMap((summary) =>
      Object.entries(summary.brokers).flatMap(([name, broker]) => {
        const cells = broker.rounds === 0 ? [broker.errors[0]] : figureOf(broker);
        const label = summary.kind === 'threads' ? `st-mqttd, ${name} I/O thread(s)` : name;
        return cells === undefined ? [] : [[summary.title, label, ...cells]];
      }),
    );
  const details = each((broker) =>
    broker.perSecond === undefined
      ? undefined
      : [
          figure(broker.perSecond.median),
          figure(broker.p50us?.median),
          figure(broker.p99us?.median),
          figure(broker.generatorBusy?.median),
          faults
            .slice(0, 3)
            .map((fault) => broker[fault])
            .join(' / '),
        ],
  );
  const memory = each((broker) => {
    if (broker.bytesEach) return [`${withSpread(broker.bytesEach)} B each`];
    if (broker.topRssKib) {
      const steps = [broker.freshRssKib, broker.topRssKib, broker.afterRssKib];
      return [`${steps.map((step) => figure(step.median)).join(' → ')} KiB`];
    }
    if (broker.rssMib)
      return [`${withSpread(broker.rssMib)} MiB, ${withSpread(broker.startMs)} ms`];
    return undefined;
  });
  return `# Results of \`npm run bench\`

Made by the program; the method is in README.md. ${date}; ${machine}; Node ${process.version};
rounds: ${options.rounds} of ${options.seconds} s; MQTT ${options.version === 5 ? '5.0' : '3.1.1'}. Medians, with the lowest and highest round in brackets.
${skipped.length === 0 ? 'No broker was skipped.' : `Skipped: ${skipped.join('; ')}.`}

## What st-mqttd must show

A share is of mosquitto's figure in the same round. "Fastest known" is the best other broker's share
under the same load, measured elsewhere.

${table(['row', 'st-mqttd', 'wanted at most', 'fastest known', 'verdict'], verdicts)}

## Broker CPU time, µs per delivered message (or per connection)

The relay copies the same bytes between the same sockets and does nothing else: the floor.

${table(['row', 'st-mqttd', 'mosquitto', 'aedes', 'relay'], costs)}

## Rates and latencies

The generator's share of its core tells whether it, not the broker, set the rate.

${table(['row', 'broker', 'delivered/s', 'p50 µs', 'p99 µs', 'generator busy', 'lost / doubled / out of order'], details)}

## Memory and start

Churn: fresh → highest → afterwards. The idle process: resident memory, time to the first CONNACK.

${table(['row', 'broker', 'figures'], memory)}
`;
}
