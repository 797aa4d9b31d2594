/** The rows of logs: messages that nobody has subscribed to. */
import { boolean, integer, oneOf, strings } from './rows.js';
import { isTopicFilter } from './topic-filter.js';

const kMiB = 1024 * 1024;

/** Where max_memory_bytes says nothing. */
export const kDefaultLogBytes = 256 * kMiB;

const segmentSize = {
  unit: 'bytes',
  min: 1024,
  max: Number.MAX_SAFE_INTEGER,
  reload: 'live',
} as const;
const segmentCount = { min: 1, max: 1_000_000, reload: 'live' } as const;

/** In `[router]`. */
export const routerLogRows = {
  max_segment_size: integer({
    ...segmentSize,
    default: 104_857_600,
    help: 'Bytes from which on a segment of a log is full, and a new one begins: 4, Topic Name and payload for each message. Logs hold what nobody has subscribed to; queues of sessions are bounded by mqtt.max_queued_bytes.',
  }),
  max_segment_count: integer({
    ...segmentCount,
    default: 10,
    help: 'Segments of a log, the active one included; of more the oldest goes, counted.',
  }),
  initialized_filters: strings({
    default: [],
    allowed: 'Topic Filters',
    check: isTopicFilter,
    reload: 'live',
    help: 'Topic Filters that have a log from the start, on all listeners. What nobody has subscribed to goes into the log of the most specific one that matches.',
  }),
} as const;

/** Of `[router.custom_segment.FILTER]`. */
export const segmentRows = {
  max_segment_size: integer({
    ...segmentSize,
    default: {
      text: 'that of [router]',
      value: () => routerLogRows.max_segment_size.default as number,
    },
    help: 'As in [router], for logs of topics that the filter matches. Of several filters the most specific counts.',
  }),
  max_segment_count: integer({
    ...segmentCount,
    default: {
      text: 'that of [router]',
      value: () => routerLogRows.max_segment_count.default as number,
    },
    help: 'Likewise.',
  }),
} as const;

/** In a listener's `.connections`. */
export const connectionLogRows = {
  dynamic_filters: boolean({
    default: false,
    reload: 'new-connections',
    help: 'As in ST-RMQTT: a message that nobody has subscribed to goes into a log of its topic. Otherwise it is dropped and counted.',
  }),
} as const;

/** In `[device]`. */
export const deviceLogRows = {
  dynamic_replay: oneOf({
    default: 'tail',
    values: ['tail', 'backlog'],
    reload: 'live',
    help: 'What a new subscriber gets of the logs. "tail": as in rumqttd nothing, it starts at the tail. "backlog": who subscribes first gets them in order, then what is published from there on.',
  }),
  max_dynamic_filters: integer({
    default: 100_000,
    min: 1,
    max: 100_000_000,
    reload: 'live',
    help: 'Logs that messages may make, in all. For one more, the log goes that was written to least recently, counted.',
  }),
  max_dynamic_bytes: integer({
    default: {
      text: 'an eighth of broker.max_memory_bytes; 256 MiB where that is 0',
      value: () => kDefaultLogBytes,
    },
    unit: 'bytes',
    min: 64 * 1024,
    max: Number.MAX_SAFE_INTEGER,
    reload: 'live',
    help: 'Memory of all logs. Beyond it the log goes that was written to least recently, counted. Logs go too where broker.max_memory_bytes is used up, before publishers pause.',
  }),
} as const;
