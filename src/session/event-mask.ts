/** Which events cross from the native half. */
import { kMaskEndsWithConnection } from '../native/contract.js';
import { eventBit } from '../native/events.js';

/**
 * `isSeen`: whether anyone looks at what happens to clients; `allEnds`: also at sessions that end with
 * their connection.
 */
export function eventMask(isSeen: boolean, allEnds = false): number {
  const always = eventBit('log') | eventBit('alert');
  if (!isSeen) return always;
  return (
    always |
    eventBit('connected') |
    eventBit('disconnected') |
    eventBit('refused') |
    eventBit('session_ended') |
    (allEnds ? kMaskEndsWithConnection : 0)
  );
}
