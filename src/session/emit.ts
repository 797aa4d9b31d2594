/** Events to the application. */
import type { EventEmitter } from 'node:events';
import type { BrokerEvents } from './events.js';

/** A listener that throws is the application's uncaught exception, and costs no other event. */
export function emitTo<K extends keyof BrokerEvents>(
  target: EventEmitter<BrokerEvents>,
  name: K,
  values: BrokerEvents[K],
): void {
  try {
    // EventEmitter's own type maps K to its tuple; TypeScript cannot for an open K.
    (target as unknown as EventEmitter).emit(name, ...values);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
