/** Subscribes clients that have come, so many at a time. */
import { messageOf } from '../../../errors.js';
import type { ConnectInfo } from '../../../session/events.js';
import type { Registry } from '../../../session/registry.js';

/** As rmqtt-auto-subscription has it. */
export interface Subscribe {
  readonly topic_filter: string;
  readonly qos: 0 | 1 | 2;
  readonly no_local: boolean;
  readonly retain_as_published: boolean;
  readonly retain_handling: 0 | 1 | 2;
}

type Client = Pick<
  ConnectInfo,
  'clientId' | 'instance' | 'username' | 'connectionId' | 'sessionPresent'
>;

export interface SubscriberDeps {
  readonly registry: () => Pick<Registry, 'subscribe' | 'subscriptions'>;
  readonly warn: (text: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly now: () => number;
}

const kAtOnce = 64;
const kPage = 1000;
/** Of each filter, at most so often. */
const kSayEveryMs = 10_000;

export class AutoSubscriber {
  readonly counts = { subscribed: 0, had: 0, refused: 0, unfit: 0, waiting: 0 };
  readonly #rules: readonly Subscribe[];
  readonly #deps: SubscriberDeps;
  /** By connection: who has gone again is not looked at. */
  readonly #waiting = new Map<bigint, Client>();
  readonly #said = new Map<string, { at: number; suppressed: number }>();
  #asking = 0;

  constructor(rules: readonly Subscribe[], deps: SubscriberDeps) {
    this.#rules = rules;
    this.#deps = deps;
  }

  connected(client: Client): void {
    this.#waiting.set(client.connectionId, client);
    this.#next();
  }

  disconnected(connectionId: bigint): void {
    this.#waiting.delete(connectionId);
    this.counts.waiting = this.#waiting.size;
  }

  #next(): void {
    for (const [id, client] of this.#waiting) {
      if (this.#asking >= kAtOnce) break;
      this.#waiting.delete(id);
      this.#asking++;
      void this.#subscribe(client).finally(() => {
        this.#asking--;
        this.#next();
      });
    }
    this.counts.waiting = this.#waiting.size;
  }

  async #subscribe(client: Client): Promise<void> {
    const { clientId, instance, sessionPresent } = client;
    try {
      const has = sessionPresent ? await this.#filtersOf(clientId, instance) : new Set<string>();
      for (const rule of this.#rules) await this.#apply(client, rule, has);
    } catch (error) {
      // The broker stops, or what comes is not for it.
      this.#say('', 'a client could not be subscribed', { clientId, why: messageOf(error) });
    }
  }

  async #apply(client: Client, rule: Subscribe, has: ReadonlySet<string>): Promise<void> {
    const { clientId, instance } = client;
    const { topic_filter, qos, no_local, retain_as_published, retain_handling } = rule;
    const filter = filterFor(topic_filter, client);
    if (filter === undefined) {
      this.counts.unfit++;
      this.#say(topic_filter, 'a name that is missing or has / + # in it', { clientId });
      return;
    }
    if (has.has(filter)) {
      this.counts.had++;
      return;
    }
    const code = await this.#deps.registry().subscribe(clientId, {
      ...{ instance, filter, qos, noLocal: no_local },
      ...{ retainAsPublished: retain_as_published, retainHandling: retain_handling },
    });
    // Without a code its session has ended meanwhile.
    if (code === undefined) return;
    if (code < 0x80) {
      this.counts.subscribed++;
      return;
    }
    this.counts.refused++;
    this.#say(topic_filter, 'refused', { clientId, filter, reasonCode: code });
  }

  async #filtersOf(clientId: string, instance: number): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    const whose = { clientId, instance, limit: kPage };
    for (let cursor: string | undefined; ; ) {
      const page = await this.#deps.registry().subscriptions({ ...whose, cursor });
      for (const { filter } of page.items) found.add(filter);
      cursor = page.next;
      if (cursor === undefined) return found;
    }
  }

  #say(rule: string, text: string, fields: Readonly<Record<string, unknown>>): void {
    const said = this.#said.get(rule) ?? { at: Number.NEGATIVE_INFINITY, suppressed: 0 };
    this.#said.set(rule, said);
    const now = this.#deps.now();
    if (now - said.at < kSayEveryMs) {
      said.suppressed++;
      return;
    }
    const more = said.suppressed === 0 ? {} : { suppressed: said.suppressed };
    said.at = now;
    said.suppressed = 0;
    this.#deps.warn(rule === '' ? text : `"${rule}": ${text}`, { ...fields, ...more });
  }
}

/** undefined: a name that it needs is none, or would be more than one level. */
export function filterFor(
  filter: string,
  { clientId, username = '' }: Pick<ConnectInfo, 'clientId' | 'username'>,
): string | undefined {
  let fits = true;
  const made = filter.replaceAll(/\$\{(clientid|username)\}|%c|%u/g, (which, name) => {
    const value = name === 'clientid' || which === '%c' ? clientId : username;
    if (value === '' || /[/+#]/.test(value)) fits = false;
    return value;
  });
  return fits ? made : undefined;
}
