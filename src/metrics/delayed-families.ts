/** Metrics of delayed messages: rows of families.ts. */
import { counter, type Section, single } from './family.js';

export const delayedSection: Section = {
  title: 'Delayed messages',
  families: [
    single(
      'gauge',
      'delayed_messages',
      'Messages that wait for their time.',
      ({ counters }) => counters.delayed_messages,
    ),
    single(
      'gauge',
      'delayed_message_bytes',
      'Topics, properties and payloads of messages that wait for their time.',
      ({ counters }) => counters.delayed_bytes,
    ),
    counter('delayed_messages_taken_total', 'Messages that were to wait.', 'delayed_taken'),
    counter(
      'delayed_messages_published_total',
      'Messages that were published when they were due.',
      'delayed_published',
    ),
    counter(
      'delayed_messages_not_held_total',
      'Messages that were published at once, because too many waited.',
      'delayed_not_held',
    ),
    counter(
      'delayed_messages_invalid_total',
      'Messages that were refused: their delay is none, or too long.',
      'delayed_invalid',
    ),
    counter(
      'delayed_messages_refused_full_total',
      'Messages that were refused, because too many waited.',
      'delayed_dropped_full',
    ),
    counter(
      'delayed_messages_expired_total',
      'Messages that expired before they were due.',
      'delayed_expired',
    ),
    counter(
      'delayed_messages_dropped_at_end_total',
      'Messages that were dropped when the broker stopped, or the plugin was unloaded.',
      'delayed_dropped_end',
    ),
  ],
};
