/** Metrics of hooks: rows of families.ts. */
import { byLabel, counter, each, type Section, single } from './family.js';

/** Why a connection is not read from. */
export const pauseCauses = [
  'outbox',
  'verdict',
  'store',
  'queue_full',
  'memory_budget',
  'rate',
  'hooks',
] as const;

export const hookSection: Section = {
  title: 'Hooks',
  families: [
    counter(
      'hook_messages_total',
      'PUBLISH packets and Wills that were shown to hooks.',
      'hook_publishes',
    ),
    single(
      'gauge',
      'hook_messages_held',
      'Messages that wait for hooks, or behind one of their client that does.',
      ({ counters }) => counters.hook_held,
    ),
    counter(
      'hook_subscribes_total',
      'SUBSCRIBE packets that were shown to hooks.',
      'hook_subscribes',
    ),
    counter('hook_deliveries_total', 'Deliveries that were shown to hooks.', 'hook_deliveries'),
    single(
      'gauge',
      'hook_deliveries_waiting',
      'Deliveries that hooks are asked about.',
      ({ counters }) => counters.hook_deliveries_asked,
    ),
    byLabel(
      'hook_delivery_waits_total',
      'Times that a delivery had to wait until hooks could be asked about it, by the bound that was reached.',
      'bound',
      each('hook_waits_', ['receiver', 'thread', 'events']),
    ),
    counter('hook_notices_total', 'Times that hooks were told something.', 'hook_notices'),
    counter(
      'hook_notices_left_out_total',
      'Times that hooks were not told, because JavaScript was far behind.',
      'hook_notices_left_out',
    ),
    counter('hook_changes_total', 'Messages that hooks have changed.', 'hook_changes'),
    counter('hook_drops_total', 'Messages that hooks have dropped.', 'dropped_by_hook'),
    counter(
      'hook_timeouts_total',
      'Messages for which a hook has not answered in time.',
      'hook_timeouts',
    ),
    counter('hook_errors_total', 'Messages for which a hook has failed.', 'hook_errors'),
    counter(
      'hook_verdicts_late_total',
      'Answers of hooks that came when the time was over.',
      'hook_verdicts_late',
    ),
  ],
};
