/** Takes each event of the native half to whom it concerns: links, authenticator, log, application. */
import type { AuthGate } from '../auth/gate.js';
import { assertNever } from '../errors.js';
import type { Links } from '../link/links.js';
import type { Listeners } from '../listener/listeners.js';
import type { LogRecord, RecordLevel } from '../log/logger.js';
import type {
  ConnectRequestEvent,
  DeliverHookEvent,
  NativeEvent,
  NoticeEvent,
  PublishHookEvent,
  ReplyEvent,
  SubscribeHookEvent,
  TraceEndEvent,
  TraceEvent,
  WrittenEvent,
} from '../native/events.js';
import {
  alertRecord,
  type BrokerEvents,
  connectInfo,
  connectRecord,
  disconnectInfo,
  disconnectRecord,
  nativeLogRecord,
  refusedInfo,
  refusedRecord,
  sessionEndRecord,
} from './events.js';

interface Outlets {
  readonly listeners: Pick<Listeners, 'nameOf'>;
  readonly links: Pick<Links, 'handle'>;
  readonly registry: { handle(reply: ReplyEvent): void };
  readonly hooks: {
    handle(event: PublishHookEvent | DeliverHookEvent | SubscribeHookEvent | NoticeEvent): void;
    judge(event: ConnectRequestEvent, listener: string): void;
    tell(event: 'sessionEnd', values: BrokerEvents['sessionEnd']): void;
  };
  readonly writes: { handle(event: WrittenEvent): void };
  readonly auth: Pick<AuthGate, 'judge' | 'handleAuth'>;
  /** Whether anyone sees records about sessions of this level. */
  readonly logs: (level: RecordLevel) => boolean;
  readonly write: (record: LogRecord) => void;
  readonly emit: <K extends keyof BrokerEvents>(name: K, ...values: BrokerEvents[K]) => void;
}

export class EventRouter {
  readonly #to: Outlets;
  /** Set while packets are traced. */
  onTrace: ((event: TraceEvent | TraceEndEvent) => void) | undefined;
  /** Set while the broker drains. */
  onDrained: ((unflushedConnections: number) => void) | undefined;

  constructor(to: Outlets) {
    this.#to = to;
  }

  handle(event: NativeEvent): void {
    const { listeners, links, auth, logs, write, emit } = this.#to;
    switch (event.kind) {
      case 'link_bytes':
      case 'link_closed':
        links.handle(event);
        return;
      case 'connect_request':
        if (event.flags.isHooked) {
          this.#to.hooks.judge(event, listeners.nameOf(event.listenerId));
          return;
        }
        auth.judge(event, listeners.nameOf(event.listenerId));
        return;
      case 'auth_request':
        auth.handleAuth(event, listeners.nameOf(event.listenerId));
        return;
      case 'connected': {
        const info = connectInfo(event, listeners.nameOf(event.listenerId));
        if (logs('info')) write(connectRecord(info));
        emit('connect', info);
        return;
      }
      case 'disconnected': {
        const info = disconnectInfo(event);
        if (logs('info')) write(disconnectRecord(info));
        emit('disconnect', info);
        return;
      }
      case 'refused': {
        const info = refusedInfo(event, listeners.nameOf(event.listenerId));
        if (logs('info')) write(refusedRecord(info));
        emit('refused', info);
        return;
      }
      case 'session_ended': {
        const { clientId, instance, cause } = event;
        const fields = { clientId, instance, cause };
        if (cause === 'with_connection') {
          // Only hooks ask for these; others have been told of the connection.
          this.#to.hooks.tell('sessionEnd', [fields]);
          return;
        }
        if (logs('debug')) write(sessionEndRecord(event));
        emit('sessionEnd', fields);
        return;
      }
      case 'log':
        write(nativeLogRecord(event));
        return;
      case 'alert': {
        const { alert, count, clientId, instance, filter, cause } = event;
        write(alertRecord(event));
        emit('alert', { alert, count, clientId, instance, filter, cause });
        return;
      }
      case 'reply':
        this.#to.registry.handle(event);
        return;
      case 'publish_hook':
      case 'subscribe_hook':
      case 'deliver_hook':
      case 'notice':
        this.#to.hooks.handle(event);
        return;
      case 'written':
        this.#to.writes.handle(event);
        return;
      case 'trace':
      case 'trace_end':
        this.onTrace?.(event);
        return;
      case 'drained':
        this.onDrained?.(event.unflushedConnections);
        return;
      default:
        assertNever(event);
    }
  }
}
