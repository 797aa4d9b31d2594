/**
 * Hooks in the form that the native half takes (NativeBroker.setHooks): native/route/hook_set.hpp
 * says what it is. The kinds are bits there too.
 */

export const HookKind = {
  publish: 1,
  subscribe: 2,
  deliver: 4,
  ack: 8,
  drop: 16,
  unsubscribe: 32,
  connect: 64,
  subscribed: 128,
} as const;
export type NativeHookKind = keyof typeof HookKind;

export interface NativeHook {
  readonly kind: NativeHookKind;
  /** A Topic Filter in its internal form. */
  readonly filter: string;
  readonly timeoutMs: number;
  /** What is not answered in time is dropped; else it passes. */
  readonly drops: boolean;
}

/** Of all hooks that fit together, one after the other. */
export const kMaxHookWaitMs = 600_000;

export function encodeHooks(hooks: readonly NativeHook[]): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32LE(hooks.length);
  const parts: Buffer[] = [count];
  for (const { kind, filter, timeoutMs, drops } of hooks) {
    const text = Buffer.from(filter, 'utf8');
    const head = Buffer.alloc(8);
    head.writeUInt8(HookKind[kind], 0);
    head.writeUInt8(drops ? 1 : 0, 1);
    head.writeUInt16LE(text.length, 2);
    head.writeUInt32LE(timeoutMs, 4);
    parts.push(head, text);
  }
  return Buffer.concat(parts);
}
