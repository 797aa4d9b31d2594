/** What becomes of a CONNECT: verdicts as handlers and providers give them, checked, as a command. */
import { messageOf } from '../errors.js';
import { connackRefusals } from '../link/reason-codes.js';
import { isMqttText } from '../native/commands.js';
import type { AuthContext } from './context.js';
import { type ClientRule, readRules } from './verdict-rules.js';

/** Of this client alone; what is left out is the listener's. */
export interface ClientLimits {
  readonly maxMessagesPerSecond?: number | undefined;
  readonly maxBytesPerSecond?: number | undefined;
  readonly maxSubscriptions?: number | undefined;
  /** Bytes. */
  readonly maxPacketSize?: number | undefined;
}

export interface Accept {
  readonly accept: true;
  /** Replaces the Client Identifier. */
  readonly clientId?: string | undefined;
  /** Replaces the username. */
  readonly username?: string | undefined;
  /** Seconds that the session may outlive its connection at most. */
  readonly maxSessionExpiry?: number | undefined;
  readonly maxQos?: 0 | 1 | 2 | undefined;
  /** Seconds; told to the client (MQTT 5.0) or enforced silently. */
  readonly serverKeepAlive?: number | undefined;
  /** false: a client with a Will is refused (0x87). */
  readonly allowWill?: boolean | undefined;
  /** The tenant that the client belongs to. */
  readonly tenant?: string | undefined;
  /** Which device it is: docs/AUTHENTICATION.md, "Device identity". */
  readonly deviceId?: string | undefined;
  readonly role?: 'device' | 'service' | undefined;
  /** What rules may name. */
  readonly groups?: readonly string[] | undefined;
  /** Rules of this client alone, before those of the configuration. */
  readonly rules?: readonly ClientRule[] | undefined;
  readonly limits?: ClientLimits | undefined;
  /** Seconds from now after which the client is disconnected. */
  readonly expiresIn?: number | undefined;
  /** Authentication Data of CONNACK; of enhanced authentication only. */
  readonly authData?: Buffer | undefined;
}
export interface Refuse {
  readonly accept: false;
  /** A Reason Code of CONNACK, 0x80 or more; default 0x87 Not authorized. */
  readonly reasonCode?: number | undefined;
  /** Told to MQTT 5.0 clients. */
  readonly reason?: string | undefined;
}
/** 'ignore': whoever stands behind in the chain decides. */
export type AuthVerdict = boolean | Accept | Refuse | 'ignore';
export type AuthHandler = (context: AuthContext) => AuthVerdict | Promise<AuthVerdict>;

export const kBadCredentials = 0x86;
export const kNotAuthorized = 0x87;
export const kUnavailable = 0x88;
export const kBanned = 0x8a;
export const kBadMethod = 0x8c;
const kNever = 0xffffffff;
/** The largest that is neither never nor unset. */
const kMaxSeconds = 0xfffffffd;
const kMaxGroups = 256;

/** Says what is wrong with a verdict, never what stands in it. */
export class UnfitVerdict extends TypeError {}

/** What comes here is an application's or a server's: types do not hold at run time. */
export function checkVerdict(verdict: AuthVerdict): Accept | Refuse | 'ignore' {
  if (verdict === true) return { accept: true };
  if (verdict === false) return { accept: false };
  if (verdict === 'ignore') return verdict;
  const given: unknown = verdict;
  if (typeof given !== 'object' || given === null || typeof verdict.accept !== 'boolean') {
    throw new UnfitVerdict('its verdict is neither true, false nor an object with `accept`');
  }
  if (!verdict.accept) {
    const reasonCode = verdict.reasonCode ?? kNotAuthorized;
    if (!connackRefusals.has(reasonCode)) {
      throw new UnfitVerdict(`its reasonCode ${reasonCode} is not a refusal of CONNACK`);
    }
    if (verdict.reason !== undefined && !isMqttText(verdict.reason)) {
      throw new UnfitVerdict('its reason is not text of at most 65535 bytes without U+0000');
    }
    return verdict;
  }
  checkAccept(verdict);
  return verdict;
}

function checkAccept(verdict: Accept): void {
  check('maxSessionExpiry', verdict.maxSessionExpiry, kNever);
  check('serverKeepAlive', verdict.serverKeepAlive, 0xfffe);
  check('maxQos', verdict.maxQos, 2);
  check('expiresIn', verdict.expiresIn, kMaxSeconds);
  for (const name of ['clientId', 'username', 'tenant', 'deviceId'] as const) {
    checkText(name, verdict[name]);
  }
  const { role, groups, limits, rules, authData } = verdict;
  if (role !== undefined && role !== 'device' && role !== 'service') {
    throw new UnfitVerdict("its role is neither 'device' nor 'service'");
  }
  if (groups !== undefined) {
    const fits = Array.isArray(groups) && groups.length <= kMaxGroups;
    if (!fits || !groups.every((group) => isMqttText(group) && group !== '')) {
      throw new UnfitVerdict(`its groups are no list of at most ${kMaxGroups} names`);
    }
    if (Buffer.byteLength(groups.join('\0')) > 65_535) {
      throw new UnfitVerdict('its groups have more than 65535 bytes');
    }
  }
  if (rules !== undefined) checkRules(rules);
  if (authData !== undefined && !(Buffer.isBuffer(authData) && authData.length <= 65_535)) {
    throw new UnfitVerdict('its authData is no Buffer of at most 65535 bytes');
  }
  if (limits !== undefined) {
    check('limits.maxMessagesPerSecond', limits.maxMessagesPerSecond, kMaxSeconds);
    check('limits.maxBytesPerSecond', limits.maxBytesPerSecond, kMaxSeconds);
    check('limits.maxSubscriptions', limits.maxSubscriptions, kMaxSeconds);
    check('limits.maxPacketSize', limits.maxPacketSize, 0x1000_0000);
  }
}

function checkRules(rules: unknown): void {
  try {
    readRules(rules);
  } catch (cause) {
    throw new UnfitVerdict(`its rules: ${messageOf(cause)}`);
  }
}

function check(name: string, value: number | undefined, max: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= max)) return;
  throw new UnfitVerdict(`its ${name} is ${value}; allowed: 0 to ${max}`);
}

function checkText(name: string, value: string | undefined): void {
  if (value === undefined) return;
  if (!isMqttText(value) || value === '')
    throw new UnfitVerdict(`its ${name} is not 1 to 65535 bytes of text`);
}
