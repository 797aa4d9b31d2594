/** Metrics of DirectWrites, of `me` topics and of whose device topics clients may use. */
import { byLabel, each } from './family.js';

export const deviceFamilies = [
  byLabel(
    'direct_writes_total',
    'DirectWrites, by what became of them first.',
    'outcome',
    each('direct_writes_', ['delivered', 'dropped', 'queued']),
  ),
  byLabel(
    'me_refused_total',
    'PUBLISH, filters and Wills by v1/devices/me/ that were refused: the client has no device id, one that cannot stand in a topic, or there is no such topic.',
    'cause',
    {
      no_id: ['me_refused_no_id'],
      unfit_id: ['me_refused_unfit_id'],
      pattern: ['me_refused_pattern'],
    },
  ),
  byLabel(
    'device_denied_total',
    'PUBLISH, filters and Wills to another device’s topics that were refused.',
    'what',
    each('device_denied_', ['publish', 'subscribe', 'will']),
  ),
];
