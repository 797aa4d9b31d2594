/** What the log says of where the broker listens. */
import type { LogRecord } from '../log/logger.js';
import type { BoundAddress } from './listeners.js';

export function boundRecords(bound: readonly BoundAddress[]): readonly LogRecord[] {
  const byListener = new Map<string, string[]>();
  for (const { listener, text } of bound) {
    byListener.set(listener, [...(byListener.get(listener) ?? []), text]);
  }
  return [...byListener].map(([listener, addresses]) => ({
    level: 'notice',
    module: 'listener',
    text: `listening on ${addresses.join(' and ')}`,
    fields: { listener },
  }));
}

/** Of the listener that is there where none is configured. */
export const loopbackRecord: LogRecord = {
  level: 'notice',
  module: 'listener',
  text:
    'no listener is configured, so only programs on this machine can connect; ' +
    'to open it to the network: --listen 0.0.0.0:1883, or [unified.1] listen = "0.0.0.0:1883" in a configuration file',
  fields: {},
};
