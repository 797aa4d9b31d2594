/** The metrics of threads, memory and process. */
import { counter, kPrefix, type Section } from './family.js';

export const processSection: Section = {
  title: 'Threads, memory, process',
  families: [
    {
      type: 'counter',
      name: `${kPrefix}io_busy_seconds_total`,
      help: 'Time that an I/O thread was not waiting.',
      labels: ['thread'],
      read: ({ threads }) =>
        threads.map(({ busy_ns }, thread) => ({
          labels: { thread: String(thread) },
          value: busy_ns / 1e9,
        })),
    },
    counter('io_turns_total', 'Turns of the I/O threads’ loops.', 'loop_turns'),
    counter('io_wakeups_total', 'Times that an I/O thread was woken by another thread.', 'wakeups'),
    counter('events_total', 'Event records handed to JavaScript.', 'events_sent'),
    counter('event_bytes_total', 'Bytes of event records.', 'event_bytes'),
    counter(
      'events_dropped_total',
      'Event records left out because nobody read.',
      'events_dropped',
    ),
    counter('commands_total', 'Command records from JavaScript.', 'commands_received'),
    counter('commands_stale_total', 'Commands for what was gone.', 'commands_stale'),
    counter(
      'log_records_suppressed_total',
      'Log records left out by their rate limit.',
      'log_records_suppressed',
    ),
    {
      type: 'gauge',
      name: `${kPrefix}event_loop_lag_seconds`,
      help: 'How late the JavaScript thread was, since the scrape before.',
      labels: ['stat'],
      read: ({ lag }) =>
        Object.entries(lag).map(([stat, value]) => ({ labels: { stat }, value: Number(value) })),
    },
    {
      type: 'gauge',
      name: `${kPrefix}memory_bytes`,
      help: 'Memory by owner: counted messages and outbound queues; the whole process; V8’s heap.',
      labels: ['owner'],
      read: ({ counters, memory }) => [
        { labels: { owner: 'messages' }, value: counters.message_bytes },
        { labels: { owner: 'outbound_queues' }, value: counters.outbound_bytes },
        { labels: { owner: 'process_resident' }, value: memory.rss },
        { labels: { owner: 'v8_heap_used' }, value: memory.heapUsed },
        { labels: { owner: 'v8_heap_total' }, value: memory.heapTotal },
      ],
    },
    {
      type: 'counter',
      name: `${kPrefix}process_cpu_seconds_total`,
      help: 'Processor time of the process.',
      labels: ['mode'],
      read: ({ cpu }) => [
        { labels: { mode: 'user' }, value: cpu.user },
        { labels: { mode: 'system' }, value: cpu.system },
      ],
    },
    {
      type: 'gauge',
      name: `${kPrefix}start_time_seconds`,
      help: 'When the broker started, in seconds since 1970.',
      labels: [],
      read: ({ build }) => [{ value: build.startedAt / 1000 }],
    },
    {
      type: 'gauge',
      name: `${kPrefix}build_info`,
      help: 'Always 1; what runs is in the labels.',
      labels: ['version', 'node', 'platform', 'arch'],
      read: ({ build }) => [
        {
          labels: {
            version: build.version,
            node: process.version,
            platform: process.platform,
            arch: process.arch,
          },
          value: 1,
        },
      ],
    },
  ],
};
