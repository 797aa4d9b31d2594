/** The metrics of logs: messages that nobody had subscribed to. */
import { byLabel, counter, each, type Section, single } from './family.js';

export const logSection: Section = {
  title: 'Logs of dynamic and initialized filters',
  families: [
    counter(
      'publishes_logged_total',
      'Messages that no subscription matched, and that went into a log.',
      'publish_logged',
    ),
    single('gauge', 'logs', 'Logs that there are.', ({ counters }) => counters.logs),
    single('gauge', 'log_messages', 'Messages in them.', ({ counters }) => counters.log_messages),
    single(
      'gauge',
      'log_bytes',
      'Bytes of these: 4, Topic Name and payload of each.',
      ({ counters }) => counters.log_bytes,
    ),
    counter('logs_created_total', 'Logs made.', 'logs_created'),
    byLabel(
      'logs_evicted_total',
      'Logs that went for a bound of all: max_dynamic_filters, max_dynamic_bytes, max_memory_bytes.',
      'cause',
      each('logs_evicted_', ['filters', 'bytes', 'memory']),
    ),
    byLabel(
      'log_messages_dropped_total',
      'Messages that a log had taken and nobody got, by cause: overrun = its segments were full; deleted = by an operator.',
      'cause',
      each('dropped_log_', ['overrun', 'filters', 'bytes', 'memory', 'deleted']),
    ),
    counter(
      'log_handovers_total',
      'Subscriptions that the logs were handed over to.',
      'log_handovers',
    ),
    counter('log_messages_replayed_total', 'Messages sent from logs.', 'log_replayed'),
  ],
};
