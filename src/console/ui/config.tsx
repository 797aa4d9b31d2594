/** The configuration in force, each key with where it came from; and reload. */
import { useState } from 'preact/hooks';
import { request } from './api.js';
import { useLive, useLoaded } from './hooks.js';
import { Confirm, Empty, Failure, Field, Heading, Wide } from './parts.js';

interface Entry {
  readonly key: string;
  readonly value: unknown;
  readonly origin: string | null;
  readonly reload: 'live' | 'new-connections' | 'restart';
  readonly help: string;
}
interface Config {
  readonly entries: readonly Entry[];
  readonly warnings: readonly string[];
}
interface Change {
  readonly key: string;
}
interface Report {
  readonly live: readonly Change[];
  readonly new_connections: readonly Change[];
  readonly restart: readonly Change[];
  readonly listeners_added: readonly string[];
  readonly listeners_removed: readonly string[];
  readonly listeners_changed: readonly string[];
  readonly reread: readonly string[];
  readonly warnings: readonly string[];
}

const takesEffect = {
  live: 'at once',
  'new-connections': 'for new connections',
  restart: 'after a restart',
} as const;

export function ConfigPage() {
  const { hello } = useLive();
  const [find, setFind] = useState('');
  const [onlySet, setOnlySet] = useState(false);
  const { data, error, reload } = useLoaded('config', (signal) =>
    request<Config>('api/v1/config', { signal }),
  );
  const text = find.toLowerCase();
  const entries = (data?.entries ?? []).filter(
    ({ key, help, origin }) =>
      (!onlySet || origin !== null) &&
      (key.toLowerCase().includes(text) || help.toLowerCase().includes(text)),
  );
  return (
    <>
      <Heading title="Configuration">
        {hello?.caller.role === 'admin' && <Reload onDone={reload} />}
      </Heading>
      <Failure>{error}</Failure>
      {data?.warnings.map((warning) => (
        <p key={warning} class="note warn">
          {warning}
        </p>
      ))}
      <search class="row">
        <Field label="Find" class="grow">
          <input
            type="search"
            value={find}
            placeholder="a key, or what it does"
            spellcheck={false}
            onInput={({ currentTarget }) => setFind(currentTarget.value)}
          />
        </Field>
        <label class="check">
          <input
            type="checkbox"
            checked={onlySet}
            onChange={({ currentTarget }) => setOnlySet(currentTarget.checked)}
          />
          Only what is set
        </label>
      </search>
      <section class="panel">
        {data !== undefined && entries.length === 0 && <Empty>No key fits.</Empty>}
        {entries.length > 0 && <Entries entries={entries} />}
      </section>
    </>
  );
}

function Entries({ entries }: { entries: readonly Entry[] }) {
  return (
    <Wide label="Table of the configuration">
      <table class="config">
        <thead>
          <tr>
            <th scope="col">Key</th>
            <th scope="col">Value</th>
            <th scope="col">Origin</th>
            <th scope="col">A change takes effect</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <tr key={entry.key}>
              <th scope="row">
                <span class="mono">{entry.key}</span>
                <small>{entry.help}</small>
              </th>
              <td class="mono">{shown(entry.value)}</td>
              <td class={entry.origin === null ? 'muted' : 'mono'}>{entry.origin ?? 'default'}</td>
              <td>{takesEffect[entry.reload]}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

function shown(value: unknown): string {
  if (value === undefined || value === null || value === '') return '–';
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((one) => typeof one === 'string'))
    return value.join(', ');
  return JSON.stringify(value);
}

function Reload({ onDone }: { onDone: () => void }) {
  const [isAsking, setAsking] = useState(false);
  const [result, setResult] = useState<{ text: string; isBad: boolean }>();
  const run = async () => {
    setAsking(false);
    try {
      const report = await request<Report>('api/v1/reload', { method: 'POST' });
      setResult({ text: told(report), isBad: false });
      onDone();
    } catch (error) {
      setResult({ text: error instanceof Error ? error.message : String(error), isBad: true });
    }
  };
  return (
    <>
      <button type="button" onClick={() => setAsking(true)}>
        Reload
      </button>
      <p
        class={`note ${result?.isBad === true ? 'bad' : 'good'}`}
        role="status"
        hidden={result === undefined}
      >
        {result?.text}
      </p>
      {isAsking && (
        <Confirm
          title="Read the configuration again?"
          action="Reload"
          onYes={() => void run()}
          onNo={() => setAsking(false)}
        >
          <p>
            All of it is applied, or nothing. Keys that need a restart are named, and wait for it.
          </p>
        </Confirm>
      )}
    </>
  );
}

function told(report: Report): string {
  const named = (what: string, names: readonly string[]) =>
    names.length === 0 ? [] : [`${what}: ${names.join(', ')}`];
  const keys = (changes: readonly Change[]) => changes.map(({ key }) => key);
  const parts = [
    ...named('in effect', keys(report.live)),
    ...named('for new connections', keys(report.new_connections)),
    ...named('after a restart', keys(report.restart)),
    ...named('listeners opened', report.listeners_added),
    ...named('listeners closed', report.listeners_removed),
    ...named('listeners changed', report.listeners_changed),
    ...named('read anew', report.reread),
  ];
  return parts.length === 0 ? 'Reloaded: nothing has changed.' : `Reloaded. ${parts.join('; ')}.`;
}
