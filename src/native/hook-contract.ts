/** What contract.ts has of hooks: the shape of native/contract/records.hpp. */
import { layout } from './layout.js';

export const HookFlag = { is_link: 1, is_will: 2, is_in_tenant: 4 } as const;
export const HookAction = { pass: 0, drop: 1, change: 2, subscribe: 3 } as const;
export const NoticeKind = { ack: 1, drop: 2, unsubscribe: 3, subscribed: 4 } as const;
/** Why a message did not get to its receiver. */
export const DropCause = {
  none: 0,
  outbound_watermark: 1,
  queue_full_newest: 2,
  queue_full_oldest: 3,
  queue_bytes: 4,
  expired: 5,
  packet_too_large: 6,
  offline_qos0: 7,
  shared_no_member: 8,
  memory_budget: 9,
  hook: 10,
  deliver_hook: 11,
  delayed_end: 12,
} as const;
export const HookVerdictFlag = { timed_out: 1, failed: 2, of_delivery: 4 } as const;
/** In a publish_hook or deliver_hook: the message does not expire. */
export const kNoExpiry = 0xffffffff;

export const PublishHook = layout('PublishHook', {
  hook_id: 'u64',
  connection_id: 'u64',
  listener_id: 'u32',
  expiry_s: 'u32',
  qos: 'u8',
  retain: 'u8',
  flags: 'u8',
  protocol_level: 'u8',
  client_id_bytes: 'u32',
  username_bytes: 'u32',
  tenant_bytes: 'u32',
  device_id_bytes: 'u32',
  topic_bytes: 'u32',
  properties_bytes: 'u32',
  payload_bytes: 'u32',
  instance: 'u32',
});

/** Begins as PublishHook does. */
export const DeliverHook = layout('DeliverHook', {
  hook_id: 'u64',
  connection_id: 'u64',
  listener_id: 'u32',
  expiry_s: 'u32',
  qos: 'u8',
  retain: 'u8',
  flags: 'u8',
  protocol_level: 'u8',
  client_id_bytes: 'u32',
  username_bytes: 'u32',
  tenant_bytes: 'u32',
  device_id_bytes: 'u32',
  topic_bytes: 'u32',
  properties_bytes: 'u32',
  payload_bytes: 'u32',
  publisher_bytes: 'u32',
  instance: 'u32',
});

export const SubscribeHook = layout('SubscribeHook', {
  connection_id: 'u64',
  listener_id: 'u32',
  subscription_id: 'u32',
  flags: 'u8',
  protocol_level: 'u8',
  client_id_bytes: 'u32',
  username_bytes: 'u32',
  tenant_bytes: 'u32',
  device_id_bytes: 'u32',
  filters_bytes: 'u32',
  instance: 'u32',
});

export const Notice = layout('Notice', {
  connection_id: 'u64',
  left_out: 'u32',
  notice: 'u16',
  cause: 'u16',
  packet_id: 'u16',
  qos: 'u8',
  reason_code: 'u8',
  client_id_bytes: 'u32',
  topic_bytes: 'u32',
  instance: 'u32',
});

export const HookVerdict = layout('HookVerdict', {
  hook_id: 'u64',
  action: 'u8',
  reason_code: 'u8',
  flags: 'u8',
  qos: 'u8',
  retain: 'u8',
  reason_text_bytes: 'u32',
  topic_bytes: 'u32',
  properties_bytes: 'u32',
  payload_bytes: 'u32',
});

export type NoticeName = keyof typeof NoticeKind;
export type DropCauseName = keyof typeof DropCause;
