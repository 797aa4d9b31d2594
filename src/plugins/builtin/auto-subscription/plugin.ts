/** Clients have subscriptions as soon as they are connected. See README.md. */
import { messageOf } from '../../../errors.js';
import { checkFilter } from '../../../link/topics.js';
import { definePlugin, WrongConfig } from '../../define.js';
import { AutoSubscriber, filterFor, type Subscribe } from './subscriber.js';

interface Config {
  readonly subscribes: readonly Subscribe[];
}

const flag = { type: 'boolean', default: false };

export const plugin = definePlugin<Config>({
  description: 'subscribes clients when they connect',
  schema: {
    type: 'object',
    required: ['subscribes'],
    additionalProperties: false,
    properties: {
      subscribes: {
        type: 'array',
        items: {
          type: 'object',
          required: ['topic_filter'],
          additionalProperties: false,
          properties: {
            topic_filter: { type: 'string', minLength: 1 },
            qos: { type: 'integer', minimum: 0, maximum: 2, default: 0 },
            no_local: flag,
            retain_as_published: flag,
            retain_handling: { type: 'integer', minimum: 0, maximum: 2, default: 0 },
          },
        },
      },
    },
  },
  check: ({ subscribes }) => {
    for (const [index, { topic_filter, no_local }] of subscribes.entries()) {
      const wrong = (key: string, why: string, cause?: unknown) =>
        new WrongConfig(['subscribes', String(index), key], why, { cause });
      try {
        const filter = filterFor(topic_filter, { clientId: 'c', username: 'u' }) ?? '';
        checkFilter(filter, 'reading subscribes');
      } catch (cause) {
        throw wrong('topic_filter', messageOf(cause), cause);
      }
      if (no_local && topic_filter.startsWith('$share/')) {
        throw wrong('no_local', 'a Shared Subscription cannot have it');
      }
    }
  },
  start: (context) => {
    const { broker, log, config } = context;
    const subscriber = new AutoSubscriber(config.subscribes, {
      registry: () => broker.registry,
      warn: log.warn,
      now: () => performance.now(),
    });
    context.counts(() => ({ ...subscriber.counts }));
    context.onConnected(function subscribe(client) {
      // A link is this process's own.
      if (client.listener !== undefined) subscriber.connected(client);
    });
    context.onDisconnect(function forget({ connectionId }) {
      subscriber.disconnected(connectionId);
    });
  },
});
