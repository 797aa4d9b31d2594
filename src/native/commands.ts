/**
 * Commands to the native half: encoded into one reused buffer and handed over once per microtask
 * round, so that a burst of publishes costs one crossing. Consecutive packets of one link share
 * one record.
 */
import {
  CommandKind,
  DirectWrite,
  Disconnect,
  Drain,
  HookAction,
  HookVerdict,
  HookVerdictFlag,
  kAnyInstance,
  kLinkDynamicFilters,
  kLinkMonitor,
  kVerdictUnset8,
  kVerdictUnset16,
  kVerdictUnset32,
  LinkBytes,
  LinkClose,
  LinkCredit,
  LinkOpen,
  Publish,
  Query,
  QueryKind,
  type QueryName,
  Role,
  Verdict,
  WriteFlag,
} from './contract.js';
import { encodeRules, type NativeRule } from './rules.js';

export interface VerdictCommand {
  readonly connectionId: bigint;
  /** 0 = accept. */
  readonly reasonCode: number;
  readonly reasonText?: string | undefined;
  readonly maxSessionExpiry?: number | undefined;
  readonly serverKeepAlive?: number | undefined;
  readonly maxQos?: number | undefined;
  readonly refuseWill?: boolean | undefined;
  readonly clientId?: string | undefined;
  readonly username?: string | undefined;
  /** Seconds from now; the client is disconnected then. */
  readonly expiresIn?: number | undefined;
  readonly role?: 'device' | 'service' | undefined;
  /** Nobody stands behind the username: it is dropped. */
  readonly anonymous?: boolean | undefined;
  /** Letters, digits, `_` and `-`: it becomes a level of topics and part of the Client Identifier. */
  readonly tenant?: string | undefined;
  readonly deviceId?: string | undefined;
  readonly groups?: readonly string[] | undefined;
  /** What rules call the client's certificate. */
  readonly certificateName?: string | undefined;
  /** Of this client alone: they come before those of all. */
  readonly rules?: readonly NativeRule[] | undefined;
  /** Authentication Data of CONNACK, or of AUTH with the reasonCode 0x18. */
  readonly authData?: Buffer | undefined;
  readonly limits?: VerdictLimits | undefined;
}

/** What a link is opened as. */
export interface LinkSelf {
  /** Not given: it is a service of this process, not a device. */
  readonly deviceId?: string | undefined;
  readonly role?: 'device' | 'service' | undefined;
  readonly dynamicFilters?: boolean | undefined;
  /** It looks on: what it has subscribed to has no subscriber for that. */
  readonly monitor?: boolean | undefined;
}

/** What becomes of a PUBLISH, or of a delivery, that waits for hooks. */
export interface HookVerdictCommand {
  readonly hookId: bigint;
  readonly action: keyof typeof HookAction;
  /** Of a drop, to a v5 client; 0 = as if it had been taken. */
  readonly reasonCode?: number | undefined;
  readonly reasonText?: string | undefined;
  /** For the counters. */
  readonly timedOut?: boolean | undefined;
  readonly failed?: boolean | undefined;
  /** It answers a deliver_hook: of a change, properties and payload count. */
  readonly ofDelivery?: boolean | undefined;
  // Of a change: all of it, as it is to be.
  readonly topic?: string | undefined;
  readonly qos?: 0 | 1 | 2 | undefined;
  readonly retain?: boolean | undefined;
  /** Encoded. */
  readonly properties?: Buffer | undefined;
  readonly payload?: Buffer | undefined;
}

/** What is not given is the listener's. */
export interface VerdictLimits {
  readonly maxMessagesPerSecond?: number | undefined;
  readonly maxBytesPerSecond?: number | undefined;
  readonly maxSubscriptions?: number | undefined;
  readonly maxPacketSize?: number | undefined;
}

export interface DirectWriteCommand {
  /** Never reused, not 0. */
  readonly writeId: number;
  readonly clientId: string;
  /** undefined = whichever there is. */
  readonly instance?: number | undefined;
  /** A Topic Name, as the client is to see it. */
  readonly topic: Buffer;
  /** Encoded, without the Message Expiry Interval. */
  readonly properties: Buffer;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly queue: boolean;
  /** Seconds. */
  readonly expiry?: number | undefined;
}

export interface QueryCommand {
  readonly queryId: number;
  readonly query: QueryName;
  /** Who is to answer, where neither a session nor a cursor says it. */
  readonly thread?: number;
  /** Rows at most. */
  readonly limit?: number;
  readonly reasonCode?: number;
  readonly options?: number;
  readonly clientId?: string;
  /** Which connection of it; undefined = see kAnyInstance. */
  readonly instance?: number | undefined;
  readonly text?: string;
  readonly cursor?: Buffer | undefined;
}

/** What a command may carry as text, because MQTT can say it [MQTT-1.5.4-2]; '' included. */
export function isMqttText(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0') && Buffer.byteLength(value) <= 65_535;
}

const kInitialBytes = 16 * 1024;
/** Beyond this much the batch is handed over at once: native work starts earlier. */
const kFlushBytes = 64 * 1024;
/** A buffer that one huge publish has grown is not kept. */
const kKeepBytes = 1024 * 1024;

export class CommandWriter {
  readonly #submit: (commands: Uint8Array, byteLength: number) => void;
  #buffer = Buffer.allocUnsafeSlow(kInitialBytes);
  #used = 0;
  #recordAt = -1;
  /** The link whose link_bytes record is open, that is, may still grow; -1 = none. */
  #openLink = -1;
  #scheduled = false;
  readonly #flushSoon = () => {
    this.#scheduled = false;
    this.flush();
  };

  constructor(submit: (commands: Uint8Array, byteLength: number) => void) {
    this.#submit = submit;
  }

  /** Borrowed: valid until the next call of any method. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  verdict(command: VerdictCommand): void {
    const clientId = text(command.clientId);
    const username = text(command.username);
    const reason = text(command.reasonText);
    const strings = [
      clientId,
      username,
      reason,
      text(command.tenant),
      text(command.deviceId),
      text(command.groups?.join('\0')),
      text(command.certificateName),
      command.rules === undefined ? kEmpty : encodeRules(command.rules),
      command.authData ?? kEmpty,
    ] as const;
    const tail = strings.reduce((sum, bytes) => sum + bytes.length, 0);
    const at = this.#begin(CommandKind.verdict, Verdict.bytes, tail);
    const b = this.#buffer;
    const l = Verdict.at;
    b.writeBigUInt64LE(command.connectionId, at + l.connection_id);
    b.writeUInt32LE(command.maxSessionExpiry ?? kVerdictUnset32, at + l.max_session_expiry_s);
    b.writeUInt16LE(command.serverKeepAlive ?? kVerdictUnset16, at + l.server_keep_alive_s);
    b.writeUInt8(command.reasonCode, at + l.reason_code);
    b.writeUInt8(command.maxQos ?? kVerdictUnset8, at + l.max_qos);
    b.writeUInt8(command.refuseWill === true ? 1 : 0, at + l.will_refused);
    b.writeUInt32LE(clientId.length, at + l.client_id_bytes);
    b.writeUInt32LE(username.length, at + l.username_bytes);
    b.writeUInt32LE(reason.length, at + l.reason_text_bytes);
    b.writeUInt8(Role[command.role ?? 'unset'], at + l.role);
    b.writeUInt8(command.anonymous === true ? 1 : 0, at + l.anonymous);
    b.writeUInt32LE(command.expiresIn ?? kVerdictUnset32, at + l.expires_s);
    const { limits } = command;
    b.writeUInt32LE(limits?.maxMessagesPerSecond ?? kVerdictUnset32, at + l.max_messages_per_s);
    b.writeUInt32LE(limits?.maxBytesPerSecond ?? kVerdictUnset32, at + l.max_bytes_per_s);
    b.writeUInt32LE(limits?.maxSubscriptions ?? kVerdictUnset32, at + l.max_subscriptions);
    b.writeUInt32LE(limits?.maxPacketSize ?? kVerdictUnset32, at + l.max_packet_size);
    b.writeUInt32LE(strings[3].length, at + l.tenant_bytes);
    b.writeUInt32LE(strings[4].length, at + l.device_id_bytes);
    b.writeUInt32LE(strings[5].length, at + l.groups_bytes);
    b.writeUInt32LE(strings[6].length, at + l.certificate_name_bytes);
    b.writeUInt32LE(strings[7].length, at + l.rules_bytes);
    b.writeUInt32LE(strings[8].length, at + l.auth_data_bytes);
    this.#strings(at + Verdict.bytes, ...strings);
  }

  linkOpen(linkId: number, creditBytes: number, self: LinkSelf = {}): void {
    const deviceId = text(self.deviceId);
    const at = this.#begin(CommandKind.link_open, LinkOpen.bytes, deviceId.length);
    const b = this.#buffer;
    const l = LinkOpen.at;
    b.writeUInt32LE(linkId, at + l.link_id);
    b.writeUInt32LE(creditBytes, at + l.credit_bytes);
    b.writeUInt32LE(deviceId.length, at + l.device_id_bytes);
    b.writeUInt8(Role[self.role ?? 'unset'], at + l.role);
    const flags =
      (self.dynamicFilters === true ? kLinkDynamicFilters : 0) |
      (self.monitor === true ? kLinkMonitor : 0);
    b.writeUInt8(flags, at + l.flags);
    this.#strings(at + LinkOpen.bytes, deviceId);
  }

  linkCredit(linkId: number, consumedBytes: number): void {
    const at = this.#begin(CommandKind.link_credit, LinkCredit.bytes, 0);
    this.#buffer.writeUInt32LE(linkId, at + LinkCredit.at.link_id);
    this.#buffer.writeUInt32LE(consumedBytes, at + LinkCredit.at.consumed_bytes);
  }

  linkClose(linkId: number): void {
    const at = this.#begin(CommandKind.link_close, LinkClose.bytes, 0);
    this.#buffer.writeUInt32LE(linkId, at + LinkClose.at.link_id);
  }

  /** `instance`: undefined = all of this Client Identifier. */
  disconnect(clientId: string, reasonCode: number, reasonText: string, instance?: number): void {
    const id = text(clientId);
    const reason = text(reasonText);
    const at = this.#begin(CommandKind.disconnect, Disconnect.bytes, id.length + reason.length);
    this.#buffer.writeUInt8(reasonCode, at + Disconnect.at.reason_code);
    this.#buffer.writeUInt32LE(id.length, at + Disconnect.at.client_id_bytes);
    this.#buffer.writeUInt32LE(reason.length, at + Disconnect.at.reason_text_bytes);
    this.#buffer.writeUInt32LE(instance ?? kAnyInstance, at + Disconnect.at.instance);
    this.#strings(at + Disconnect.bytes, id, reason);
  }

  /** A message of the broker's own, which no client has sent. The topic must be a Topic Name. */
  publish(
    topic: string,
    payload: string,
    { qos, retain }: { readonly qos: 0 | 1 | 2; readonly retain: boolean },
  ): void {
    const name = text(topic);
    const body = text(payload);
    const at = this.#begin(CommandKind.publish, Publish.bytes, name.length + body.length);
    this.#buffer.writeUInt8(qos, at + Publish.at.qos);
    this.#buffer.writeUInt8(retain ? 1 : 0, at + Publish.at.retain);
    this.#buffer.writeUInt32LE(name.length, at + Publish.at.topic_bytes);
    this.#buffer.writeUInt32LE(body.length, at + Publish.at.payload_bytes);
    this.#strings(at + Publish.bytes, name, body);
  }

  hookVerdict(command: HookVerdictCommand): void {
    const reason = text(command.reasonText);
    const topic = text(command.topic);
    const properties = command.properties ?? kEmpty;
    const payload = command.payload ?? kEmpty;
    const tail = reason.length + topic.length + properties.length + payload.length;
    const at = this.#begin(CommandKind.hook_verdict, HookVerdict.bytes, tail);
    const b = this.#buffer;
    const l = HookVerdict.at;
    b.writeBigUInt64LE(command.hookId, at + l.hook_id);
    b.writeUInt8(HookAction[command.action], at + l.action);
    b.writeUInt8(command.reasonCode ?? 0, at + l.reason_code);
    const flags =
      (command.timedOut === true ? HookVerdictFlag.timed_out : 0) |
      (command.failed === true ? HookVerdictFlag.failed : 0) |
      (command.ofDelivery === true ? HookVerdictFlag.of_delivery : 0);
    b.writeUInt8(flags, at + l.flags);
    b.writeUInt8(command.qos ?? 0, at + l.qos);
    b.writeUInt8(command.retain === true ? 1 : 0, at + l.retain);
    b.writeUInt32LE(reason.length, at + l.reason_text_bytes);
    b.writeUInt32LE(topic.length, at + l.topic_bytes);
    b.writeUInt32LE(properties.length, at + l.properties_bytes);
    b.writeUInt32LE(payload.length, at + l.payload_bytes);
    this.#strings(at + HookVerdict.bytes, reason, topic, properties, payload);
  }

  directWrite(command: DirectWriteCommand): void {
    const clientId = text(command.clientId);
    const { topic, properties, payload, expiry } = command;
    const tail = clientId.length + topic.length + properties.length + payload.length;
    const at = this.#begin(CommandKind.direct_write, DirectWrite.bytes, tail);
    const b = this.#buffer;
    const l = DirectWrite.at;
    b.writeBigUInt64LE(BigInt(command.writeId), at + l.write_id);
    b.writeUInt8(command.qos, at + l.qos);
    const flags =
      (command.queue ? WriteFlag.queue : 0) | (expiry === undefined ? 0 : WriteFlag.expires);
    b.writeUInt8(flags, at + l.flags);
    b.writeUInt32LE(expiry ?? 0, at + l.expiry_s);
    b.writeUInt32LE(command.instance ?? kAnyInstance, at + l.instance);
    b.writeUInt32LE(clientId.length, at + l.client_id_bytes);
    b.writeUInt32LE(topic.length, at + l.topic_bytes);
    b.writeUInt32LE(properties.length, at + l.properties_bytes);
    b.writeUInt32LE(payload.length, at + l.payload_bytes);
    this.#strings(at + DirectWrite.bytes, clientId, topic, properties, payload);
  }

  query(command: QueryCommand): void {
    const clientId = text(command.clientId);
    const argument = text(command.text);
    const cursor = command.cursor ?? kEmpty;
    const tail = clientId.length + argument.length + cursor.length;
    const at = this.#begin(CommandKind.query, Query.bytes, tail);
    const b = this.#buffer;
    const l = Query.at;
    b.writeBigUInt64LE(BigInt(command.queryId), at + l.query_id);
    b.writeUInt16LE(QueryKind[command.query], at + l.query);
    b.writeUInt16LE(command.thread ?? 0, at + l.thread);
    b.writeUInt32LE(command.limit ?? 1, at + l.limit);
    b.writeUInt8(command.reasonCode ?? 0, at + l.reason_code);
    b.writeUInt8(command.options ?? 0, at + l.options);
    b.writeUInt32LE(clientId.length, at + l.client_id_bytes);
    b.writeUInt32LE(argument.length, at + l.text_bytes);
    b.writeUInt32LE(cursor.length, at + l.cursor_bytes);
    b.writeUInt32LE(command.instance ?? kAnyInstance, at + l.instance);
    this.#strings(at + Query.bytes, clientId, argument, cursor);
  }

  drain(deadlineMs: number): void {
    const at = this.#begin(CommandKind.drain, Drain.bytes, 0);
    this.#buffer.writeUInt32LE(deadlineMs, at + Drain.at.deadline_ms);
  }

  /**
   * Room for `bytes` of a link's Control Packets; returns the offset in `buffer` to write them at.
   * All of them must be written before the next call.
   */
  linkBytes(linkId: number, bytes: number): number {
    if (this.#openLink === linkId && this.#used < kFlushBytes) {
      this.#reserve(bytes);
    } else {
      const record = this.#begin(CommandKind.link_bytes, LinkBytes.bytes, 0);
      this.#reserve(bytes);
      this.#buffer.writeUInt32LE(linkId, record + LinkBytes.at.link_id);
      this.#openLink = linkId;
    }
    const at = this.#used;
    this.#used += bytes;
    return at;
  }

  /** Hands over what is there. */
  flush(): void {
    if (this.#used === 0) return;
    this.#close();
    const bytes = this.#used;
    this.#used = 0;
    const buffer = this.#buffer;
    if (buffer.length > kKeepBytes) this.#buffer = Buffer.allocUnsafeSlow(kInitialBytes);
    this.#submit(buffer, bytes);
  }

  /** Starts a record; its header's length is written when it is closed. */
  #begin(kind: number, fixedBytes: number, tailBytes: number): number {
    this.#close();
    if (this.#used >= kFlushBytes) this.flush();
    this.#reserve(fixedBytes + tailBytes);
    const at = this.#used;
    this.#buffer.fill(0, at, at + fixedBytes);
    this.#buffer.writeUInt16LE(kind, at + 4);
    this.#recordAt = at;
    this.#used = at + fixedBytes + tailBytes;
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(this.#flushSoon);
    }
    return at;
  }

  /** Pads the record that is being written to 8 and writes its lengths. */
  #close(): void {
    const at = this.#recordAt;
    if (at < 0) return;
    if (this.#openLink >= 0) {
      const data = this.#used - at - LinkBytes.bytes;
      this.#buffer.writeUInt32LE(data, at + LinkBytes.at.data_bytes);
      this.#openLink = -1;
    }
    const padding = -this.#used & 7;
    this.#reserve(padding);
    this.#buffer.fill(0, this.#used, this.#used + padding);
    this.#used += padding;
    this.#buffer.writeUInt32LE(this.#used - at, at);
    this.#recordAt = -1;
  }

  #reserve(bytes: number): void {
    const wanted = this.#used + bytes;
    if (wanted <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(wanted + 8, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#used);
    this.#buffer = grown;
  }

  #strings(at: number, ...strings: readonly Uint8Array[]): void {
    let to = at;
    for (const bytes of strings) {
      this.#buffer.set(bytes, to);
      to += bytes.length;
    }
  }
}

const kEmpty = Buffer.alloc(0);
function text(value: string | undefined): Buffer {
  return value === undefined || value === '' ? kEmpty : Buffer.from(value, 'utf8');
}
