/** Which events cross from the native half. */
import { eventBit } from '../native/events.js';

/** `isSeen`: whether anyone looks at what happens to clients. */
export function eventMask(isSeen: boolean): number {
  const always = eventBit('log') | eventBit('alert');
  if (!isSeen) return always;
  return (
    always |
    eventBit('connected') |
    eventBit('disconnected') |
    eventBit('refused') |
    eventBit('session_ended')
  );
}
