// A reader of Prometheus' text format 0.0.4, as strict as the format's description: every line is a
// HELP, a TYPE, a sample of the metric they name, or empty.
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: Sample[];
}

const kName = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const kLabel = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"';
const kSample = new RegExp(`^(${kName})(?:\\{(${kLabel}(?:,${kLabel})*)\\})? (\\S+)$`);

export function parseExposition(text: string): Metric[] {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const metrics: Metric[] = [];
  let help: { name: string; text: string } | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue;
    const helped = /^# HELP (\S+) (.*)$/.exec(line);
    const typed = /^# TYPE (\S+) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    if (helped !== null) {
      help = { name: helped[1] ?? '', text: helped[2] ?? '' };
    } else if (typed !== null) {
      const [, name = '', type = ''] = typed;
      if (help?.name !== name) throw new Error(`TYPE without its HELP: ${line}`);
      if (metrics.some((metric) => metric.name === name)) throw new Error(`twice: ${name}`);
      metrics.push({ name, type, help: help.text, samples: [] });
    } else {
      metrics.at(-1)?.samples.push(sampleOf(line, metrics.at(-1)));
    }
  }
  return metrics;
}

function sampleOf(line: string, metric: Metric | undefined): Sample {
  const match = kSample.exec(line);
  if (match === null || metric === undefined) throw new Error(`not a sample: ${line}`);
  const [, name = '', labelText = '', number = ''] = match;
  const endings = metric.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  if (!endings.some((ending) => name === metric.name + ending)) {
    throw new Error(`a sample of another metric below ${metric.name}: ${line}`);
  }
  const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number);
  if (Number.isNaN(value)) throw new Error(`not a number: ${line}`);
  const labels: Record<string, string> = {};
  for (const [, label = '', text = ''] of labelText.matchAll(
    /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g,
  )) {
    if (Object.hasOwn(labels, label)) throw new Error(`a label twice: ${line}`);
    labels[label] = text.replace(/\\(.)/g, (_, escaped: string) =>
      escaped === 'n' ? '\n' : escaped,
    );
  }
  return { name, labels, value };
}
