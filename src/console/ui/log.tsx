/** The log's tail, filtered here; and the broker's own filter, for those who may change it. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { request } from './api.js';
import * as format from './format.js';
import { useLive, useLoaded } from './hooks.js';
import { type LogLine, tailLogs } from './live.js';
import { Empty, Failure, Field, Heading } from './parts.js';

const kKept = 1000;
const kShown = 300;
const levels = ['trace', 'debug', 'info', 'notice', 'warn', 'error'] as const;
type Level = (typeof levels)[number];

interface Entry extends LogLine {
  readonly key: number;
  /** What is searched. */
  readonly all: string;
}

export function LogPage() {
  const { hello } = useLive();
  const [level, setLevel] = useState<Level>('trace');
  const [find, setFind] = useState('');
  const [isPaused, setPaused] = useState(false);
  const [lost, setLost] = useState(0);
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const paused = useRef(false);
  paused.current = isPaused;
  const nextKey = useRef(0);

  useEffect(
    () =>
      tailLogs((records, missed) => {
        if (paused.current) return;
        setLost((n) => n + missed);
        const fresh = records.map((record) => ({
          ...record,
          key: nextKey.current++,
          all: `${record.module} ${record.text} ${fieldsOf(record.fields)}`.toLowerCase(),
        }));
        setEntries((before) => [...fresh.reverse(), ...before].slice(0, kKept));
      }),
    [],
  );

  const lowest = levels.indexOf(level);
  const text = find.toLowerCase();
  const fitting = entries.filter(
    (entry) => levels.indexOf(entry.level as Level) >= lowest && entry.all.includes(text),
  );
  return (
    <>
      <Heading title="Log" />
      {hello !== undefined && <BrokerFilter mayChange={hello.caller.role !== 'read'} />}
      <search class="row">
        <Field label="Find" class="grow">
          <input
            type="search"
            value={find}
            placeholder="text, client id, module"
            spellcheck={false}
            onInput={({ currentTarget }) => setFind(currentTarget.value)}
          />
        </Field>
        <Field label="From level">
          <select
            value={level}
            onChange={({ currentTarget }) => setLevel(currentTarget.value as Level)}
          >
            {levels.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </Field>
        <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          Pause
        </button>
        <button type="button" onClick={() => setEntries([])}>
          Clear
        </button>
      </search>
      <section class="panel">
        {fitting.length === 0 ? (
          <Empty>
            {entries.length === 0 ? 'Nothing was logged since this page is open.' : 'No line fits.'}
          </Empty>
        ) : (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
          <ol class="log" aria-label="Log, newest first" tabIndex={0}>
            {fitting.slice(0, kShown).map((entry) => (
              <li key={entry.key} class={entry.level}>
                <time>{format.time(entry.t)}</time>
                <span class="lvl">{entry.level}</span>
                <span class="module">{entry.module}</span>
                <span class="text">
                  {entry.text} <span class="muted">{fieldsOf(entry.fields)}</span>
                </span>
              </li>
            ))}
          </ol>
        )}
        <p class="foot muted" role="status">
          {format.count(fitting.length)} of the last {format.count(entries.length)} lines
          {lost > 0 && ` · ${format.count(lost)} came faster than they are shown`}
          {isPaused && ' · paused'}
        </p>
      </section>
    </>
  );
}

function fieldsOf(fields: LogLine['fields']): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}

/** What the broker writes at all. */
function BrokerFilter({ mayChange }: { mayChange: boolean }) {
  const { data, error, reload } = useLoaded('filter', (signal) =>
    request<{ filter: string }>('api/v1/log/filter', { signal }),
  );
  const [typed, setTyped] = useState<string>();
  const [failure, setFailure] = useState<string>();
  const apply = async (filter: string) => {
    try {
      await request('api/v1/log/filter', { method: 'PUT', body: { filter } });
      setFailure(undefined);
      setTyped(undefined);
      reload();
    } catch (thrown) {
      setFailure(thrown instanceof Error ? thrown.message : String(thrown));
    }
  };
  const shown = typed ?? data?.filter ?? '';
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        void apply(shown);
      }}
    >
      <Field label="The broker writes" class="grow">
        <input
          class="mono"
          value={shown}
          readOnly={!mayChange}
          spellcheck={false}
          onInput={({ currentTarget }) => setTyped(currentTarget.value)}
        />
      </Field>
      {mayChange && (
        <button type="submit" disabled={typed === undefined || typed === data?.filter}>
          Apply
        </button>
      )}
      <Failure>{failure ?? error}</Failure>
    </form>
  );
}
