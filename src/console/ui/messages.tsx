/** The tool: publish a message, see what comes for a filter. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { request } from './api.js';
import * as format from './format.js';
import { useLive, useRoute } from './hooks.js';
import { type TopicValue, watch } from './live.js';
import { Empty, Failure, Field, Heading, Panel } from './parts.js';
import { Payload } from './topics.js';

const kKept = 200;

export function MessagesPage() {
  const { hello } = useLive();
  const [, topic] = useRoute();
  return (
    <>
      <Heading title="Messages" />
      {hello?.caller.role === 'read' ? (
        <Empty>To publish and subscribe, a token with the role operate is needed.</Empty>
      ) : (
        <div class="columns tool">
          <Publish key={topic ?? ''} topic={topic ?? ''} />
          <Subscribe />
        </div>
      )}
    </>
  );
}

interface PublishAnswer {
  readonly ok: boolean;
  readonly results: readonly { readonly reason_code: number; readonly reason: string }[];
}

function Publish(props: { topic: string }) {
  const [topic, setTopic] = useState(props.topic);
  const [payload, setPayload] = useState('');
  const [encoding, setEncoding] = useState('plain');
  const [qos, setQos] = useState('0');
  const [retain, setRetain] = useState(false);
  const [result, setResult] = useState<{ text: string; isBad: boolean }>();
  const [isBusy, setBusy] = useState(false);
  const publish = async () => {
    setBusy(true);
    setResult(undefined);
    try {
      const { ok, results } = await request<PublishAnswer>('api/v1/mqtt/publish', {
        method: 'POST',
        body: { topic, payload, encoding, qos: Number(qos), retain },
      });
      const [{ reason = '', reason_code = 0 } = {}] = results;
      const text = reason_code === 0 ? 'Published.' : `${ok ? 'Published' : 'Refused'}: ${reason}.`;
      setResult({ text: `${format.time(Date.now())} ${text}`, isBad: !ok });
    } catch (error) {
      setResult({ text: error instanceof Error ? error.message : String(error), isBad: true });
    } finally {
      setBusy(false);
    }
  };
  return (
    <Panel title="Publish">
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void publish();
        }}
      >
        <Field label="Topic">
          <input
            class="mono"
            name="topic"
            required
            value={topic}
            spellcheck={false}
            onInput={({ currentTarget }) => setTopic(currentTarget.value)}
          />
        </Field>
        <Field label="Payload">
          <textarea
            class="mono"
            name="payload"
            rows={6}
            value={payload}
            spellcheck={false}
            onInput={({ currentTarget }) => setPayload(currentTarget.value)}
          />
        </Field>
        <div class="row">
          <Field label="Written as">
            <select
              value={encoding}
              onChange={({ currentTarget }) => setEncoding(currentTarget.value)}
            >
              <option value="plain">Text</option>
              <option value="base64">Base64</option>
            </select>
          </Field>
          <Field label="QoS">
            <select value={qos} onChange={({ currentTarget }) => setQos(currentTarget.value)}>
              <option>0</option>
              <option>1</option>
              <option>2</option>
            </select>
          </Field>
          <label class="check">
            <input
              type="checkbox"
              checked={retain}
              onChange={({ currentTarget }) => setRetain(currentTarget.checked)}
            />
            Retain
          </label>
          <span class="grow" />
          <button type="submit" class="primary" disabled={isBusy}>
            Publish
          </button>
        </div>
        <p
          class={`note ${result?.isBad === true ? 'bad' : 'good'}`}
          role="status"
          hidden={result === undefined}
        >
          {result?.text}
        </p>
      </form>
    </Panel>
  );
}

interface Entry {
  readonly key: number;
  readonly value: TopicValue;
}

function Subscribe() {
  const [typed, setTyped] = useState('');
  const [filter, setFilter] = useState<string>();
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const [lost, setLost] = useState(0);
  const [failure, setFailure] = useState<string>();
  const nextKey = useRef(0);
  useEffect(() => {
    if (filter === undefined) return;
    setFailure(undefined);
    return watch({
      filter,
      mode: 'each',
      values: (values, missed) => {
        setLost((n) => n + missed);
        const fresh = values.map((value) => ({ key: nextKey.current++, value })).reverse();
        setEntries((before) => [...fresh, ...before].slice(0, kKept));
      },
      failed: (message) => {
        setFailure(message);
        setFilter(undefined);
      },
    });
  }, [filter]);
  return (
    <Panel
      title="Subscribe"
      aside={
        <button type="button" disabled={entries.length === 0} onClick={() => setEntries([])}>
          Clear
        </button>
      }
    >
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          setFilter(filter === undefined ? typed.trim() : undefined);
        }}
      >
        <Field label="Topic Filter" class="grow">
          <input
            class="mono"
            name="filter"
            required
            value={typed}
            readOnly={filter !== undefined}
            placeholder="plant/+/temperature"
            spellcheck={false}
            onInput={({ currentTarget }) => setTyped(currentTarget.value)}
          />
        </Field>
        <button type="submit" class={filter === undefined ? 'primary' : ''}>
          {filter === undefined ? 'Subscribe' : 'Unsubscribe'}
        </button>
      </form>
      <Failure>{failure}</Failure>
      <p class="muted" role="status">
        {filter === undefined ? 'Not subscribed.' : 'Subscribed at QoS 0.'}
        {lost > 0 && ` ${format.count(lost)} messages came faster than they are shown.`}
      </p>
      <ol class="received">
        {entries.map(({ key, value }) => (
          <li key={key}>
            <div class="row">
              <span class="mono topic grow">{value.topic}</span>
              {value.retain && <span class="badge">retained</span>}
              <span class="muted nowrap">
                {format.bytes(value.bytes)} · {format.time(value.t)}
              </span>
            </div>
            {value.bytes > 0 && <Payload value={value} />}
          </li>
        ))}
      </ol>
    </Panel>
  );
}
