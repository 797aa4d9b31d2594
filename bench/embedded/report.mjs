// What rounds of `npm run bench:embedded` come to: medians, ratios taken within rounds, text.
import { figure, median, spread, withSpread } from '../lib/statistics.mjs';

export const kWanted = 5;
const own = 'st-mqttd';
const kHeading = '## Embedded in a Node process';

function ratios(key, upside, own, other) {
  const each = own.map((round, index) => {
    const [mine, theirs] = [round[key], other[index]?.[key]];
    return upside ? mine / theirs : theirs / mine;
  });
  return spread(each);
}

/** `results`: { broker: [report or { error } of each round] }. */
export function summarize(row, results) {
  const brokers = {};
  for (const [name, rounds] of Object.entries(results)) {
    const good = rounds.filter(({ error }) => error === undefined);
    const sum = (key) => good.reduce((total, round) => total + (round[key] ?? 0), 0);
    brokers[name] = {
      perSecond: spread(good.map(({ perSecond }) => perSecond)),
      brokerCpuUs: spread(good.map(({ brokerCpuUs }) => brokerCpuUs)),
      brokerBusy: median(good.map(({ brokerBusy }) => brokerBusy)),
      faults: { lost: sum('lost'), doubled: sum('doubled'), disordered: sum('disordered') },
      errors: rounds.flatMap(({ error }) => (error === undefined ? [] : [error])),
    };
  }
  const against = Object.keys(results)
    .filter((name) => name !== own && results[own] !== undefined)
    .map((name) => ({
      name,
      perSecond: ratios('perSecond', true, results[own], results[name]),
      cpu: ratios('brokerCpuUs', false, results[own], results[name]),
    }));
  return { id: row.id, title: row.title, brokers, against };
}

/** Messages of st-mqttd that were lost, doubled or out of order, or rounds that failed. */
export function faultsOf({ brokers }) {
  const { faults, errors } = brokers[own] ?? { faults: {}, errors: [] };
  return errors.length + Object.values(faults).reduce((sum, count) => sum + count, 0);
}

function faultText({ lost, doubled, disordered }) {
  return `${lost} / ${doubled} / ${disordered}`;
}

export function rowText({ id, title, brokers, against }) {
  const lines = [`\n${title} [${id}]`];
  for (const [name, broker] of Object.entries(brokers)) {
    const parts = [
      `${withSpread(broker.perSecond)} messages/s`,
      `${withSpread(broker.brokerCpuUs)} µs of CPU each`,
      `(busy ${figure(broker.brokerBusy)})`,
    ];
    if (Object.values(broker.faults).some((count) => count > 0)) {
      parts.push(`lost / doubled / out of order: ${faultText(broker.faults)}`);
    }
    for (const error of broker.errors) parts.push(`FAILED: ${error.split('\n')[0]}`);
    lines.push(`  ${name.padEnd(14)} ${parts.join('  ')}`);
  }
  for (const { name, perSecond, cpu } of against) {
    const wanted = name === 'aedes' ? `, wanted ${kWanted}` : '';
    lines.push(
      `  → ${withSpread(perSecond)} times ${name}'s messages/s${wanted}; ${name} takes ${withSpread(cpu)} times the CPU`,
    );
  }
  return lines.join('\n');
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** `load`: { average, cores } of the machine, at the end. A run alone keeps at most two cores busy. */
export function noiseText({ average, cores }) {
  if (average <= 3) return '';
  const figures = `load average ${figure(average)} on ${cores} cores`;
  return `**The machine was busy with something else (${figures}): CPU time is to be read, rates are not.**`;
}

/** The section of RESULTS.md. */
export function sectionText({ machine, date, options, load, summaries }) {
  const rows = summaries.flatMap(({ title, brokers, against }) =>
    Object.entries(brokers).map(([name, broker]) => {
      const ratio = against.find((one) => one.name === name);
      return [
        title,
        name,
        withSpread(broker.perSecond),
        withSpread(broker.brokerCpuUs),
        ratio === undefined ? '' : withSpread(ratio.perSecond),
        ratio === undefined ? '' : withSpread(ratio.cpu),
        broker.errors.length > 0 ? `failed: ${broker.errors.length}` : faultText(broker.faults),
      ];
    }),
  );
  const noise = noiseText(load);
  return `${kHeading}

Made by \`npm run bench:embedded -- --write\`. ${date}; ${machine}; Node ${process.version};
rounds: ${options.rounds} of ${options.seconds} s. What is compared is in README.md. The ratios are of st-mqttd to the broker
of the line, taken within each round: wanted are ${kWanted} times aedes' messages/s.${noise === '' ? '' : `\n${noise}`}

${table(['row', 'broker', 'messages/s', 'CPU µs each', 'st-mqttd: times its messages/s', "its CPU: times st-mqttd's", 'lost / doubled / out of order'], rows)}
`;
}

/** RESULTS.md without that section, and the section: each program writes its own part. */
export function splitResults(text) {
  const at = text.indexOf(kHeading);
  if (at < 0) return { main: text, section: '' };
  return { main: text.slice(0, at), section: text.slice(at) };
}
