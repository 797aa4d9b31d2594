/** What web-hook is configured by. See README.md. Pure. */
import { checkFilter } from '../../../link/topics.js';
import { WrongConfig } from '../../define.js';

/** rmqttd's names. */
export const eventNames = [
  'session_created',
  'session_terminated',
  'session_subscribed',
  'session_unsubscribed',
  'client_connect',
  'client_connack',
  'client_connected',
  'client_disconnected',
  'client_subscribe',
  'client_unsubscribe',
  'message_publish',
  'message_delivered',
  'message_acked',
  'message_dropped',
] as const;
export type EventName = (typeof eventNames)[number];

export interface Rule {
  /** Default: the event's name. */
  readonly action?: string;
  /** Default: those of all. */
  readonly urls?: readonly string[];
  /** Default: any topic. */
  readonly topics?: readonly string[];
}

export interface Config {
  readonly urls: readonly string[];
  readonly rule: Readonly<Partial<Record<EventName, readonly Rule[]>>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: 'base64' | 'text';
  readonly batch_events: number;
  readonly batch_wait_ms: number;
  readonly concurrency_limit: number;
  readonly http_timeout_ms: number;
  readonly retry_max_elapsed_ms: number;
  readonly retry_first_ms: number;
  readonly retry_multiplier: number;
  readonly queue_capacity: number;
  readonly queue_bytes: number;
  readonly on_full: 'drop_newest' | 'drop_oldest';
  readonly flush_ms: number;
  readonly tls: {
    readonly ca_path?: string;
    readonly cert_path?: string;
    readonly key_path?: string;
  };
}

const whole = (byDefault: number, minimum: number, maximum: number) => ({
  ...{ type: 'integer', minimum, maximum, default: byDefault },
});
const texts = { type: 'array', items: { type: 'string', minLength: 1 } };
const path = { type: 'string', minLength: 1 };
const rules = {
  type: 'array',
  items: {
    type: 'object',
    additionalProperties: false,
    properties: { action: { type: 'string', minLength: 1 }, urls: texts, topics: texts },
  },
};

export const schema = {
  type: 'object',
  required: ['rule'],
  additionalProperties: false,
  properties: {
    urls: { ...texts, default: [] },
    rule: {
      type: 'object',
      additionalProperties: false,
      properties: Object.fromEntries(eventNames.map((name) => [name, rules])),
    },
    headers: { type: 'object', additionalProperties: { type: 'string' }, default: {} },
    payload: { enum: ['base64', 'text'], default: 'base64' },
    batch_events: whole(100, 1, 10_000),
    batch_wait_ms: whole(50, 0, 60_000),
    concurrency_limit: whole(1, 1, 128),
    http_timeout_ms: whole(8_000, 1, 600_000),
    retry_max_elapsed_ms: whole(60_000, 0, 86_400_000),
    retry_first_ms: whole(500, 1, 60_000),
    retry_multiplier: { type: 'number', minimum: 1, maximum: 10, default: 2.5 },
    queue_capacity: whole(100_000, 1, 10_000_000),
    queue_bytes: whole(67_108_864, 1024, 2 ** 40),
    on_full: { enum: ['drop_newest', 'drop_oldest'], default: 'drop_newest' },
    flush_ms: whole(3_000, 0, 4_500),
    tls: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { ca_path: path, cert_path: path, key_path: path },
    },
  },
};

/** Events that have no topic. */
const kTopicless = /^client_conn|^client_disconnected|^session_(created|terminated)/;
/** They are said by the request itself. */
const kOwnHeaders = new Set(['content-length', 'host', 'connection', 'transfer-encoding']);
const kToken = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Throws WrongConfig. Never says a URL or a header: they may hold secrets. */
export function checkConfig(config: Config): void {
  config.urls.forEach((url, index) => {
    checkUrl(url, ['urls', String(index)]);
  });
  for (const [event, list] of Object.entries(config.rule)) {
    list.forEach((rule, index) => {
      checkRule(event, rule, config.urls.length > 0, ['rule', event, String(index)]);
    });
  }
  for (const [name, value] of Object.entries(config.headers)) {
    const at = ['headers', name];
    if (!kToken.test(name)) throw new WrongConfig(at, 'it is no name of a header');
    if (kOwnHeaders.has(name.toLowerCase())) throw new WrongConfig(at, 'it cannot be chosen');
    // Visible characters, spaces and tabs; Latin-1.
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      throw new WrongConfig(at, 'it has characters that no header has');
    }
  }
  const { cert_path, key_path } = config.tls;
  if ((cert_path === undefined) !== (key_path === undefined)) {
    throw new WrongConfig(['tls'], 'cert_path and key_path belong together');
  }
}

function checkRule(
  event: string,
  { urls, topics }: Rule,
  hasUrls: boolean,
  at: readonly string[],
): void {
  urls?.forEach((url, index) => {
    checkUrl(url, [...at, 'urls', String(index)]);
  });
  if (urls === undefined && !hasUrls) throw new WrongConfig(at, 'it has no urls, nor has config');
  if (topics === undefined) return;
  if (kTopicless.test(event)) {
    throw new WrongConfig([...at, 'topics'], `${event} has no topic`);
  }
  topics.forEach((filter, index) => {
    try {
      checkFilter(filter, 'reading topics');
    } catch (cause) {
      const why = `"${filter}" is no Topic Filter`;
      throw new WrongConfig([...at, 'topics', String(index)], why, { cause });
    }
  });
}

function checkUrl(text: string, at: readonly string[]): void {
  if (!URL.canParse(text)) throw new WrongConfig(at, 'it is no URL');
  const { protocol, username, password } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw new WrongConfig(at, 'it is neither http:// nor https://');
  }
  if (username !== '' || password !== '') {
    throw new WrongConfig(at, 'it has a user or a password; use headers instead');
  }
}
