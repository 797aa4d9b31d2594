/** docs/METRICS.md, made from the table of metrics by scripts/metrics-doc.mjs; a test holds it fresh. */
import { sections } from './families.js';
import type { Family } from './family.js';

export function metricsMarkdown(): string {
  return `${[
    '# Metrics',
    '',
    '<!-- Made by `node scripts/metrics-doc.mjs` from src/metrics/. Edit the table there. -->',
    '',
    'With `[prometheus]` in the configuration, the broker answers `GET /metrics` (and `GET /`) there:',
    '',
    '```toml',
    '[prometheus]',
    'listen = "127.0.0.1:9042"',
    'interval = 1    # seconds: an answer is at most this old',
    '```',
    '',
    'The text is Prometheus’ own format (0.0.4), or OpenMetrics 1.0 for whom asks for it. Everything is counted by the I/O',
    'threads as they work and read when somebody asks: a scrape costs them nothing, and without `[prometheus]` none of this is',
    'loaded. All counters begin at zero with the process. `[prometheus.tls]` makes it HTTPS, with',
    'client certificates where `capath` is set ([TLS.md](TLS.md)); without them there is no access control: let it listen where only',
    'your Prometheus can reach it.',
    '',
    'A copy of a message, for a subscription that matched, ends in exactly one place: sent (`st_mqttd_publishes_sent_total`, where a',
    'resend counts again), dropped with its cause (`st_mqttd_messages_dropped_total`), or waiting (`st_mqttd_messages_queued`).',
    '',
    ...sections.flatMap(({ title, families }) => [
      `## ${title}`,
      '',
      '| metric | type | labels | meaning |',
      '|---|---|---|---|',
      ...families.map(line),
      '',
    ]),
  ]
    .join('\n')
    .trimEnd()}\n`;
}

function line({ name, type, labels, help }: Family): string {
  const names = labels.map((label) => `\`${label}\``).join(', ');
  return `| \`${name}\` | ${type} | ${names} | ${help} |`;
}
