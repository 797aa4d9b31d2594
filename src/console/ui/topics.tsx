/** Topics as a tree, each with its last value. */
import { useEffect, useRef, useState } from 'preact/hooks';
import * as format from './format.js';
import { useLive } from './hooks.js';
import { type TopicValue, watch } from './live.js';
import { Empty, Facts, Failure, Field, Heading, Panel } from './parts.js';
import { kMaxNodes, type TopicNode, TopicTree } from './topic-tree.js';

const kMaxRows = 400;

export function TopicsPage() {
  const { hello } = useLive();
  const [typed, setTyped] = useState('#');
  const [filter, setFilter] = useState('#');
  if (hello?.caller.role === 'read') return <Forbidden what="The topic tree" />;
  return (
    <>
      <Heading title="Topics" />
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          setFilter(typed.trim());
        }}
      >
        <Field label="Topic Filter" class="grow">
          <input
            class="mono"
            value={typed}
            spellcheck={false}
            onInput={({ currentTarget }) => setTyped(currentTarget.value)}
          />
        </Field>
        <button type="submit" class="primary">
          Subscribe
        </button>
      </form>
      <Tree key={filter} filter={filter} />
    </>
  );
}

export function Forbidden({ what }: { what: string }) {
  return (
    <>
      <Heading title="Topics" />
      <Empty>{what} shows payloads: it needs a token with the role operate.</Empty>
    </>
  );
}

function Tree({ filter }: { filter: string }) {
  const tree = useRef(new TopicTree());
  const closed = useRef(new Set<string>());
  const [, render] = useState(0);
  const [lost, setLost] = useState(0);
  const [failure, setFailure] = useState<string>();
  const [find, setFind] = useState('');
  const [selected, setSelected] = useState<TopicNode>();
  const [isPaused, setPaused] = useState(false);
  const paused = useRef(false);
  paused.current = isPaused;

  useEffect(
    () =>
      watch({
        filter,
        mode: 'latest',
        values: (values, missed) => {
          if (paused.current) return;
          for (const value of values) tree.current.add(value);
          setLost((n) => n + missed);
          render((n) => n + 1);
        },
        failed: setFailure,
      }),
    [filter],
  );

  const isOpen = (node: TopicNode) => !closed.current.has(node.topic);
  const rows = tree.current.visible(isOpen, find, kMaxRows);
  const toggle = (node: TopicNode, open: boolean) => {
    if (open) closed.current.delete(node.topic);
    else closed.current.add(node.topic);
    render((n) => n + 1);
  };
  const unseen = lost + tree.current.ignored;
  return (
    <>
      <Failure>{failure}</Failure>
      <div class="split">
        <Panel
          title="Tree"
          aside={
            <div class="row">
              <input
                type="search"
                aria-label="Find in topics"
                placeholder="Find"
                value={find}
                onInput={({ currentTarget }) => setFind(currentTarget.value)}
              />
              <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
                Pause
              </button>
            </div>
          }
        >
          {rows.length === 0 && (
            <Empty>{find === '' ? 'Nothing has been published yet.' : 'No topic fits.'}</Empty>
          )}
          <Rows {...{ rows, isOpen, selected, toggle }} onSelect={setSelected} />
          <p class="foot muted" role="status">
            {format.count(tree.current.size)} of at most {format.count(kMaxNodes)} nodes
            {rows.length >= kMaxRows && `, the first ${kMaxRows} shown`}
            {unseen > 0 && ` · ${format.count(unseen)} messages came faster than they are shown`}
          </p>
        </Panel>
        <Value node={selected} />
      </div>
    </>
  );
}

function Rows(props: {
  readonly rows: readonly TopicNode[];
  readonly isOpen: (node: TopicNode) => boolean;
  readonly selected: TopicNode | undefined;
  readonly toggle: (node: TopicNode, open: boolean) => void;
  readonly onSelect: (node: TopicNode) => void;
}) {
  const { rows, isOpen, selected, toggle, onSelect } = props;
  const list = useRef<HTMLDivElement>(null);
  const current = selected !== undefined && rows.includes(selected) ? selected : rows[0];
  const move = (to: TopicNode | undefined) => {
    if (to === undefined) return;
    onSelect(to);
    const at = rows.indexOf(to);
    requestAnimationFrame(() => {
      list.current?.querySelectorAll<HTMLElement>('[role=treeitem]')[at]?.focus();
    });
  };
  const onKey = (event: KeyboardEvent) => {
    if (current === undefined) return;
    const at = rows.indexOf(current);
    const hasChildren = current.children.size > 0;
    switch (event.key) {
      case 'ArrowDown':
        move(rows[at + 1]);
        break;
      case 'ArrowUp':
        move(rows[at - 1]);
        break;
      case 'Home':
        move(rows[0]);
        break;
      case 'End':
        move(rows.at(-1));
        break;
      case 'ArrowRight':
        if (hasChildren && !isOpen(current)) toggle(current, true);
        else if (hasChildren) move(rows[at + 1]);
        break;
      case 'ArrowLeft':
        if (hasChildren && isOpen(current)) toggle(current, false);
        else if (current.parent !== undefined && current.depth > 0) move(current.parent);
        break;
      case 'Enter':
      case ' ':
        onSelect(current);
        break;
      default:
        return;
    }
    event.preventDefault();
  };
  if (rows.length === 0) return null;
  return (
    <div class="tree" role="tree" aria-label="Topics" ref={list} onKeyDown={onKey}>
      {rows.map((node) => {
        const hasChildren = node.children.size > 0;
        return (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the tree has the keys
          <div
            key={node.topic}
            role="treeitem"
            aria-level={node.depth + 1}
            aria-selected={node === selected}
            {...(hasChildren ? { 'aria-expanded': isOpen(node) } : {})}
            tabIndex={node === current ? 0 : -1}
            style={{ '--depth': node.depth }}
            onClick={() => {
              if (hasChildren && (node === selected || node.value === undefined)) {
                toggle(node, !isOpen(node));
              }
              onSelect(node);
            }}
          >
            <span class="twist" aria-hidden="true">
              {hasChildren ? (isOpen(node) ? '▾' : '▸') : ''}
            </span>
            <span class="level">{node.level === '' ? '(empty)' : node.level}</span>
            {node.value === undefined ? (
              <span class="muted">{format.count(node.messages)}</span>
            ) : (
              <>
                {node.value.retain && <span class="badge">retained</span>}
                <span class="value">{preview(node.value)}</span>
              </>
            )}
          </div>
        );
      })}
    </div>
  );
}

export function preview(value: TopicValue): string {
  if (value.bytes === 0) return '(no payload)';
  if (value.encoding === 'base64') return `(${format.bytes(value.bytes)}, binary)`;
  return value.payload.slice(0, 120).replace(/\s+/g, ' ');
}

function Value({ node }: { node: TopicNode | undefined }) {
  return (
    <Panel title="Value">
      {node === undefined ? (
        <Empty>Choose a topic.</Empty>
      ) : (
        <>
          <p class="mono topic">{node.topic}</p>
          <Facts
            rows={[
              ['Messages seen', format.count(node.messages)],
              ['Last', format.time(node.t)],
              ['Payload', node.value === undefined ? '–' : format.bytes(node.value.bytes)],
              ['Retained', node.value === undefined ? '–' : node.value.retain ? 'yes' : 'no'],
            ]}
          />
          {node.value !== undefined && node.value.bytes > 0 && <Payload value={node.value} />}
          <p>
            <a href={`#/messages/${encodeURIComponent(node.topic)}`}>Publish to this topic</a>
          </p>
        </>
      )}
    </Panel>
  );
}

export function Payload({ value }: { value: TopicValue }) {
  return (
    <>
      <pre class="payload">{pretty(value)}</pre>
      {(value.truncated || value.encoding === 'base64') && (
        <p class="muted">
          {value.encoding === 'base64' && 'Not UTF-8: shown in base64. '}
          {value.truncated && 'Only its beginning.'}
        </p>
      )}
    </>
  );
}

function pretty({ payload, encoding, truncated }: TopicValue): string {
  if (encoding === 'base64' || truncated || !/^\s*[[{]/.test(payload)) return payload;
  try {
    return JSON.stringify(JSON.parse(payload), null, 2);
  } catch {
    return payload;
  }
}
