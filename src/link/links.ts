/** The links of one broker, by number; and what a link leaves behind for the next of its session. */
import { assertNever, fail } from '../errors.js';
import type { CommandWriter } from '../native/commands.js';
import type { LinkBytesEvent, LinkClosedEvent } from '../native/events.js';
import { checkLinkOptions } from './check.js';
import { finish, Link, receive, unreleased } from './link.js';
import type { LinkOptions, OwnLinkOptions } from './options.js';
import { isFitDeviceId } from './topics.js';

const kMaxSessions = 10_000;

export interface LinksOptions {
  /** A link's own defect or that of its handlers: never thrown into the dispatcher. */
  readonly onError: (error: unknown) => void;
  /** The native half says who published, and leaves nothing of that name to clients. */
  readonly tellsPublishers: boolean;
}

export class Links {
  readonly #writer: CommandWriter;
  readonly #onError: (error: unknown) => void;
  readonly #tellsPublishers: boolean;
  readonly #links = new Map<number, Link>();
  /** By Client Identifier: ids of QoS 2 publishes that an ended link left in the broker. */
  readonly #unreleased = new Map<string, number[]>();
  #lastId = 0;
  #ended = false;

  constructor(writer: CommandWriter, { onError, tellsPublishers }: LinksOptions) {
    this.#writer = writer;
    this.#onError = onError;
    this.#tellsPublishers = tellsPublishers;
  }

  /** Resolves when the broker has admitted it. */
  open(options: OwnLinkOptions): Promise<Link> {
    checkLinkOptions(options);
    checkOptions(options);
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#ended) {
      const next = 'await start() first';
      throw fail('ST_BROKER_STATE', { doing: 'opening a link', state: 'stopped', next });
    }
    const { clientId = '', cleanStart = true } = options;
    const left = cleanStart ? [] : (this.#unreleased.get(clientId) ?? []);
    this.#unreleased.delete(clientId);
    return new Promise((resolve, reject) => {
      const linkId = ++this.#lastId;
      const link = new Link({
        linkId,
        writer: this.#writer,
        options,
        tellsPublishers: this.#tellsPublishers,
        unreleased: left,
        opened: (opened, result) => {
          if ('sessionPresent' in result) {
            resolve(opened);
            return;
          }
          const { reasonCode, reason, cause } = result;
          reject(
            reasonCode === 0
              ? fail('ST_LINK_CLOSED', { doing: `opening the link "${clientId}"`, why: cause })
              : fail('ST_LINK_REFUSED', { clientId, reasonCode, reason }),
          );
        },
      });
      this.#links.set(linkId, link);
      if (signal === undefined) return;
      const onAbort = () => {
        reject(signal.reason);
        link.close().catch(this.#onError);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      void link.closed.then(() => signal.removeEventListener('abort', onAbort));
    });
  }

  handle(event: LinkBytesEvent | LinkClosedEvent): void {
    const link = this.#links.get(event.linkId);
    if (link === undefined) return;
    try {
      switch (event.kind) {
        case 'link_bytes':
          receive(link, event.buffer, event.start, event.end);
          return;
        case 'link_closed':
          this.#links.delete(event.linkId);
          this.#remember(link);
          finish(link, event.cause, event.reasonCode);
          return;
        default:
          assertNever(event);
      }
    } catch (error) {
      this.#onError(error);
      link.close().catch(this.#onError);
    }
  }

  /** The broker has stopped: no link_closed comes any more. */
  end(): void {
    this.#ended = true;
    for (const link of this.#links.values()) finish(link, 'shutting_down', 0x8b);
    this.#links.clear();
  }

  #remember(link: Link): void {
    const ids = unreleased(link);
    if (ids.length === 0) return;
    if (this.#unreleased.size >= kMaxSessions) this.#unreleased.clear();
    this.#unreleased.set(link.clientId, ids);
  }
}

function checkOptions(options: LinkOptions): void {
  inRange('receiveMaximum', options.receiveMaximum, 1, 65_535);
  inRange('bufferBytes', options.bufferBytes, 1024, 0x7fffffff);
  inRange('sessionExpiry', options.sessionExpiry, 0, 0xffffffff);
  inRange('will.delay', options.will?.delay, 0, 0xffffffff);
  const { deviceId } = options;
  if (deviceId !== undefined && !isFitDeviceId(deviceId)) {
    const allowed = 'one level of a topic, and not "me"';
    const found = JSON.stringify(deviceId);
    throw fail('ST_ARGUMENT', { doing: 'opening a link', name: 'deviceId', found, allowed });
  }
}

function inRange(name: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined) return;
  if (Number.isInteger(value) && value >= min && value <= max) return;
  const allowed = `an integer from ${min} to ${max}`;
  throw fail('ST_ARGUMENT', { doing: 'opening a link', name, found: String(value), allowed });
}
