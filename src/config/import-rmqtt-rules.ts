/** Plugins of rmqttd that are shipped here too, from their own files beside rmqtt.toml; delayed publish. */
import type { Draft } from './import-draft.js';
import { holdsSecret } from './import-rmqtt-http.js';
import type { Carry } from './import-rmqtt-plugins.js';
import { durationOf } from './import-rmqtt-units.js';
import { isTable, type Layer } from './tree.js';

type Table = Readonly<Record<string, unknown>>;

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const textsOf = (value: unknown): readonly string[] =>
  listOf(value).filter((one) => typeof one === 'string');
const configOf = (plugin: string) => ['plugins', plugin, 'config'];

/** By rmqttd's names. */
export const shippedPlugins: Readonly<Record<string, Carry>> = {
  'rmqtt-topic-rewrite': (draft, { rules }, layer) => {
    begin(draft, 'topic-rewrite', layer);
    const keys = ['action', 'source_topic_filter', 'dest_topic', 'regex'];
    elements(draft, layer, rules, configOf('topic-rewrite'), 'rules', keys, ({ regex }) => {
      if (typeof regex !== 'string' || isPattern(regex)) return true;
      return 'its regex is none of JavaScript';
    });
  },
  'rmqtt-auto-subscription': (draft, { subscribes }, layer) => {
    begin(draft, 'auto-subscription', layer);
    const keys = ['topic_filter', 'qos', 'no_local', 'retain_as_published', 'retain_handling'];
    const to = configOf('auto-subscription');
    elements(draft, layer, subscribes, to, 'subscribes', keys, () => true);
  },
  'rmqtt-web-hook': webHook,
};

function begin(draft: Draft, plugin: string, { name }: Layer): void {
  draft.set(['plugins', plugin], 'default_startup', true, `${name}: plugin rmqtt-${plugin}`);
}

/** A list of tables whose keys are the same here. `fits`: true, or why one is left out. */
function elements(
  draft: Draft,
  layer: Layer,
  from: unknown,
  to: readonly string[],
  name: string,
  keys: readonly string[],
  fits: (one: Table) => true | string,
): void {
  const at = layer.locate([name]);
  let count = 0;
  for (const [index, one] of listOf(from).entries()) {
    const told = `${at} ${name}[${index}]`;
    const why = isTable(one) ? fits(one) : 'it is no table';
    if (!isTable(one) || why !== true) {
      draft.note(to, `${told}: ${why}; left out`);
      continue;
    }
    count++;
    const path = draft.element([...to, name]);
    for (const [key, value] of Object.entries(one)) {
      if (keys.includes(key)) draft.set(path, key, value, told);
      else draft.note(path, `${told}.${key}: no counterpart`);
    }
  }
  if (count === 0) draft.set(to, name, [], `${at}: there are none`);
}

function isPattern(regex: string): boolean {
  try {
    return new RegExp(regex, 'u').source !== '';
  } catch {
    return false;
  }
}

const kEvents: ReadonlySet<string> = new Set([
  ...['session_created', 'session_terminated', 'session_subscribed', 'session_unsubscribed'],
  ...['client_connect', 'client_connack', 'client_connected', 'client_disconnected'],
  ...['client_subscribe', 'client_unsubscribe', 'message_publish', 'message_delivered'],
  ...['message_acked', 'message_dropped'],
]);
/** rmqttd does not look at `topics` of these; of the last it could be done here. */
const kTopicless =
  /^client_conn|^client_disconnected|^session_(created|terminated)|^message_dropped/;
/** What it does itself there: there is no pool of threads here. */
const kHookKeys: ReadonlySet<string> = new Set([
  ...['worker_threads', 'urls', 'http_urls', 'async_queue_capacity', 'queue_capacity', 'rule'],
  ...['concurrency_limit', 'http_timeout', 'retry_max_elapsed_time', 'retry_multiplier'],
]);

function webHook(draft: Draft, root: Table, layer: Layer): void {
  begin(draft, 'web-hook', layer);
  const to = configOf('web-hook');
  const at = (...path: string[]) => `${layer.locate(path)} ${path.join('.')}`;
  for (const key of Object.keys(root)) {
    if (!kHookKeys.has(key)) draft.note(to, `${at(key)}: no counterpart`);
  }
  // There too the older key's come behind.
  const both = [...listOf(root.urls), ...listOf(root.http_urls)];
  const urls = fitUrls(draft, to, both, at('urls'));
  draft.set(to, 'urls', urls, at(root.urls === undefined ? 'http_urls' : 'urls'));
  draft.set(to, 'batch_events', 1, 'there a request has one event');
  const whole = (from: readonly string[], key: string, scale: (value: unknown) => unknown) => {
    for (const name of from) {
      const value = root[name] === undefined ? undefined : scale(root[name]);
      if (typeof value === 'number') draft.set(to, key, value, at(name));
    }
  };
  const same = (value: unknown) => value;
  const ms = (value: unknown) => {
    const seconds = durationOf(String(value));
    return seconds === undefined ? undefined : Math.round(seconds * 1000);
  };
  whole(['async_queue_capacity', 'queue_capacity'], 'queue_capacity', same);
  whole(['concurrency_limit'], 'concurrency_limit', (value) => Math.min(Number(value), 128));
  whole(['http_timeout'], 'http_timeout_ms', ms);
  whole(['retry_max_elapsed_time'], 'retry_max_elapsed_ms', ms);
  whole(['retry_multiplier'], 'retry_multiplier', same);
  let count = 0;
  for (const [event, rules] of Object.entries(isTable(root.rule) ? root.rule : {})) {
    if (!kEvents.has(event)) {
      draft.note(to, `${at('rule', event)}: left out; rmqttd's web-hook has no such event either`);
      continue;
    }
    for (const rule of listOf(rules)) {
      if (!isTable(rule)) continue;
      const told = at('rule', event);
      // An empty list is none given.
      const own = listOf(rule.urls).length === 0 ? undefined : fitUrls(draft, to, rule.urls, told);
      if ((own ?? urls).length === 0) {
        draft.note(to, `${told}: it has no URL that can be posted to; left out`);
        continue;
      }
      count++;
      const path = draft.element([...to, 'rule', event]);
      draft.set(path, 'action', String(rule.action ?? event), told);
      if (own !== undefined) draft.set(path, 'urls', own, told);
      const topics = textsOf(rule.topics);
      if (topics.length > 0 && !kTopicless.test(event)) draft.set(path, 'topics', topics, told);
      else if (topics.length > 0) draft.note(path, `${told}.topics: rmqttd does not look at them`);
      for (const key of Object.keys(rule)) {
        if (!['action', 'urls', 'topics'].includes(key)) {
          draft.note(path, `${told}.${key}: no counterpart`);
        }
      }
    }
  }
  if (count === 0) draft.note([...to, 'rule'], `${layer.name}: no rule`);
}

/** Of a URL that is left out nothing is said but where it stands: it may hold a password. */
function fitUrls(
  draft: Draft,
  to: readonly string[],
  urls: unknown,
  from: string,
): readonly string[] {
  return textsOf(urls).filter((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
    if (isHttp && !holdsSecret(url)) return true;
    draft.note(
      to,
      isHttp
        ? `${from}: a URL with a user, a password or a key is left out; use headers instead`
        : `${from}: what is no http:// or https:// URL is left out`,
    );
    return false;
  });
}

/** rmqttd has it by listener; here it is for all. */
export function importDelayed(draft: Draft, layer: Layer, listeners: readonly Table[]): void {
  if (!listeners.some((listener) => listener.delayed_publish === true)) return;
  const from = 'listeners with delayed_publish = true';
  draft.set(['plugins', 'delayed-publish'], 'default_startup', true, from);
  const to = configOf('delayed-publish');
  const mqtt: Table = isTable(layer.root.mqtt) ? layer.root.mqtt : {};
  const at = (key: string) => `${layer.locate(['mqtt', key])} mqtt.${key}`;
  if (typeof mqtt.delayed_publish_max === 'number' && mqtt.delayed_publish_max > 0) {
    draft.set(to, 'max_messages', mqtt.delayed_publish_max, at('delayed_publish_max'));
  }
  const isImmediate = mqtt.delayed_publish_immediate !== false;
  draft.set(to, 'on_full', isImmediate ? 'publish' : 'refuse', at('delayed_publish_immediate'));
  if (listeners.some((listener) => listener.delayed_publish !== true)) {
    draft.note(to, 'not all listeners have delayed_publish there; here they all do');
  }
}
