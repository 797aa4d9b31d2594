/** Tells HTTP servers what happens in the broker. See README.md. */
import type { HttpClient } from '../../../auth/http/client.js';
import { overlap, plainLevels } from '../../../hooks/overlap.js';
import type {
  AckInfo,
  DropInfo,
  HookDelivery,
  HookMessage,
  SubscribedInfo,
  UnsubscribeInfo,
} from '../../../hooks/types.js';
import { definePlugin, WrongConfig } from '../../define.js';
import type { PluginContext } from '../../types.js';
import * as bodies from './bodies.js';
import { type Config, checkConfig, type EventName, type Rule, schema } from './config.js';
import { Outbox, type OutboxCounts } from './outbox.js';

/** After hooks that change or drop something. */
const kOrder = 1_000_000;
/** Of an answer: nothing in it is looked at. */
const kMaxAnswerBytes = 1_048_576;

type Tell = (rule: Rule, event: EventName, body: bodies.Body) => void;

export const plugin = definePlugin<Config>({
  description: 'posts events and messages to HTTP servers',
  schema,
  check: checkConfig,
  start: async (context) => {
    const { config } = context;
    const outboxes = await open(context);
    context.counts(() => sum([...outboxes.values()].map(({ counts }) => counts)));
    const tell: Tell = (rule, event, body) => {
      const now = Date.now();
      const text = JSON.stringify({
        ...{ action: rule.action ?? event, node: context.broker.id, ...body },
        ...{ ts: now, time: new Date(now).toISOString() },
      });
      for (const url of new Set(rule.urls ?? config.urls)) outboxes.get(url)?.add(text);
    };
    context.onStop(async () => {
      await Promise.all([...outboxes.values()].map((outbox) => outbox.close(config.flush_ms)));
    });
    for (const [event, rules] of Object.entries(config.rule)) {
      for (const rule of rules) listen(context, event as EventName, rule, tell);
    }
  },
});

/** One for each URL: a server that is away keeps nothing from others. */
async function open(context: PluginContext<Config>): Promise<ReadonlyMap<string, Outbox>> {
  const { config } = context;
  const { HttpClient } = await import('../../../auth/http/client.js');
  const tls = await tlsOf(context);
  const urls = new Set(config.urls);
  for (const rules of Object.values(config.rule)) {
    for (const rule of rules) for (const url of rule.urls ?? []) urls.add(url);
  }
  const outboxes = new Map<string, Outbox>();
  const clients: HttpClient[] = [];
  for (const url of urls) {
    const client = new HttpClient({
      ...{ url, timeoutMs: config.http_timeout_ms, maxBytes: kMaxAnswerBytes, ...tls },
      maxSockets: config.concurrency_limit,
    });
    clients.push(client);
    const { protocol, hostname } = new URL(url);
    const { origin } = client;
    if (protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) {
      context.log.warn(`${origin} without TLS: events go over the network in clear`);
    }
    outboxes.set(url, outboxTo(client, context));
  }
  // After the outboxes are closed: onStop() runs backwards.
  context.onStop(() => {
    for (const client of clients) client.stop();
  });
  return outboxes;
}

function outboxTo(client: HttpClient, { config, log, setTimeout }: PluginContext<Config>): Outbox {
  const { origin } = client;
  const headers = { 'content-type': 'application/json', ...lowerCase(config.headers) };
  const options = {
    batchEvents: config.batch_events,
    batchWaitMs: config.batch_wait_ms,
    concurrency: config.concurrency_limit,
    retryMaxElapsedMs: config.retry_max_elapsed_ms,
    retryFirstMs: config.retry_first_ms,
    retryMultiplier: config.retry_multiplier,
    capacity: config.queue_capacity,
    bytes: config.queue_bytes,
    onFull: config.on_full,
  };
  return new Outbox(options, {
    post: (body, stopped) => {
      const signal = AbortSignal.any([stopped, AbortSignal.timeout(config.http_timeout_ms)]);
      return client.send({ method: 'POST', headers, body, signal });
    },
    after: setTimeout,
    now: () => performance.now(),
    random: Math.random,
    warn: (text, fields) => log.warn(`${origin}: ${text}`, fields),
    info: (text, fields) => log.info(`${origin}: ${text}`, fields),
  });
}

async function tlsOf(context: PluginContext<Config>): Promise<object> {
  const { ca_path, cert_path, key_path } = context.config.tls;
  const given = { caPath: ca_path, certPath: cert_path, keyPath: key_path };
  const paths = Object.entries(given).map(([name, path]) => [name, path && context.path(path)]);
  if (paths.every(([, path]) => path === undefined)) return {};
  const { readClientTls } = await import('../../../auth/http/tls-files.js');
  return readClientTls(
    Object.fromEntries(paths) as typeof given,
    (key, why, cause) => new WrongConfig(['tls', key], `tls.${key}: ${why}`, { cause }),
  );
}

function listen(
  context: PluginContext<Config>,
  event: EventName,
  rule: Rule,
  tellWith: Tell,
): void {
  const { payload } = context.config;
  const options = { name: event, order: kOrder };
  const tell = (body: bodies.Body) => tellWith(rule, event, body);
  const textOf = (message: HookMessage | HookDelivery) =>
    payload === 'text' ? message.text() : message.payload.toString('base64');
  switch (event) {
    case 'client_connect':
      context.onConnect((client) => tell(bodies.connect(client)), options);
      return;
    case 'client_connack':
      context.onConnected((client) => tell(bodies.accepted(client)), options);
      context.onRefused((attempt) => tell(bodies.refused(attempt)), options);
      return;
    case 'client_connected':
      context.onConnected((client) => tell(bodies.connected(client, Date.now())), options);
      return;
    case 'client_disconnected':
      context.onDisconnect((client) => tell(bodies.disconnected(client, Date.now())), options);
      return;
    case 'session_created':
      context.onConnected((client) => {
        if (!client.sessionPresent) tell(bodies.created(client, Date.now()));
      }, options);
      return;
    case 'session_terminated':
      context.onSessionEnd((session) => tell(bodies.terminated(session)), options);
      return;
    case 'client_subscribe': {
      const wanted = rule.topics?.map((filter) => filter.split('/'));
      context.onSubscribe((subscription) => {
        const levels = plainLevels(subscription.filter);
        if (wanted?.some((one) => overlap(one, levels)) === false) return;
        tell(bodies.subscribe(subscription));
      }, options);
      return;
    }
    case 'session_subscribed':
      each<SubscribedInfo>(
        rule,
        (filter, fn) => context.onSubscribed(filter, fn, options),
        (info) => tell(bodies.subscribed(info)),
      );
      return;
    case 'client_unsubscribe':
    case 'session_unsubscribed':
      each<UnsubscribeInfo>(
        rule,
        (filter, fn) => context.onUnsubscribe(filter, fn, options),
        (info) => tell(bodies.unsubscribed(info)),
      );
      return;
    case 'message_acked':
      each<AckInfo>(
        rule,
        (filter, fn) => context.onAck(filter, fn, options),
        (ack) => tell(bodies.acked(ack)),
      );
      return;
    case 'message_dropped':
      each<DropInfo>(
        rule,
        (filter, fn) => context.onDrop(filter, fn, options),
        (drop) => tell(bodies.dropped(drop)),
      );
      return;
    case 'message_publish':
      each<HookMessage>(
        rule,
        (filter, fn) => context.onPublish(filter, fn, options),
        (message) => {
          tell(bodies.published(message, textOf(message)));
        },
        (message) => message.payload,
      );
      return;
    case 'message_delivered':
      each<HookDelivery>(
        rule,
        (filter, fn) => context.onDeliver(filter, fn, options),
        (delivery) => tell(bodies.delivered(delivery, textOf(delivery))),
        (delivery) => delivery.payload,
      );
  }
}

/** For each filter of the rule; what several of them match is told once. `itself`: what it is known by. */
function each<T extends object>(
  { topics = ['#'] }: Rule,
  register: (filter: string, fn: (value: T) => void) => void,
  fn: (value: T) => void,
  itself: (value: T) => object = (value) => value,
): void {
  const filters = new Set(topics);
  const told = new WeakSet<object>();
  const once = (value: T) => {
    if (told.has(itself(value))) return;
    told.add(itself(value));
    fn(value);
  };
  for (const filter of filters) register(filter, filters.size === 1 ? fn : once);
}

const lowerCase = (headers: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

function sum(all: readonly OutboxCounts[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const counts of all) {
    for (const [name, count] of Object.entries(counts)) total[name] = (total[name] ?? 0) + count;
  }
  return total;
}
