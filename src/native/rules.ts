/**
 * Access rules in the form that the native half takes, for all clients (NativeBroker.setRules) and
 * for one (VerdictCommand.rules). native/route/rule_reader.cpp reads it: u32 number of rules; each
 * is u32 bytes of all that follows, six numbers of a byte, two bytes of padding, six lists of whom
 * it is about, the list of filters, and its name. A list is u16 count (0xFFFF = not given) and
 * texts of u16 length.
 */

export interface NativeRuleSubjects {
  /** Texts with `*` for any run of characters. One of a list must fit, and each list given. */
  readonly users?: readonly string[];
  /** Of the final Client Identifier. */
  readonly clients?: readonly string[];
  readonly groups?: readonly string[];
  readonly certificates?: readonly string[];
  /** "10.0.0.0/8", "fe80::/10", "192.0.2.7"; "unix" = a Unix socket. */
  readonly addresses?: readonly string[];
  /** Names of listeners. */
  readonly listeners?: readonly string[];
  /** Without a username. */
  readonly anonymous?: boolean;
  readonly role?: 'device' | 'service';
}

/** The first rule that fits decides; those of a verdict come before those of all. */
export interface NativeRule {
  readonly effect: 'allow' | 'deny';
  readonly actions: 'publish' | 'subscribe' | 'all';
  readonly who: NativeRuleSubjects;
  /** Topic Filters with %c, %u, %t, %d for the client's own values, and %% for a percent sign. */
  readonly filters: readonly string[];
  /** At most. */
  readonly qos?: 0 | 1 | 2;
  /** false = only without RETAIN. */
  readonly retain?: boolean;
  /** What logs call it; else by its number, from 1. */
  readonly name?: string;
}

export interface NativeRuleOptions {
  /** Where no rule fits; auto = deny where there are rules, for all or for the client alone. */
  readonly default: 'auto' | 'allow' | 'deny';
  /** Of a PUBLISH of a 3.x client: acknowledged and dropped, or the end of its connection. */
  readonly v3_denied: 'drop' | 'disconnect';
  /** A subscription wider than allowed is accepted, and gets what is allowed. */
  readonly narrow: boolean;
}

const kNotGiven = 0xffff;
const kAny = 2;
const actionBits = { publish: 1, subscribe: 2, all: 3 } as const;
const roles = { device: 1, service: 2 } as const;

/** Throws a RangeError for what has no such form: a text over 65,535 bytes, a list over 65,534. */
export function encodeRules(rules: readonly NativeRule[]): Buffer {
  const parts: Buffer[] = [u32(rules.length)];
  for (const rule of rules) {
    const { who } = rule;
    const body = Buffer.concat([
      Buffer.from([
        rule.effect === 'allow' ? 1 : 0,
        actionBits[rule.actions],
        rule.qos ?? 2,
        rule.retain === false ? 0 : 1,
        who.anonymous === undefined ? kAny : who.anonymous ? 1 : 0,
        who.role === undefined ? 0 : roles[who.role],
        0,
        0,
      ]),
      list(who.users),
      list(who.clients),
      list(who.groups),
      list(who.certificates),
      list(who.addresses),
      list(who.listeners),
      list(rule.filters),
      text(rule.name ?? ''),
    ]);
    parts.push(u32(body.length), body);
  }
  return Buffer.concat(parts);
}

function list(texts: readonly string[] | undefined): Buffer {
  if (texts === undefined) return u16(kNotGiven);
  if (texts.length >= kNotGiven) throw new RangeError('a list of a rule has too many entries');
  return Buffer.concat([u16(texts.length), ...texts.map(text)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  if (bytes.length > 65_535) throw new RangeError('a text of a rule is too long');
  return Buffer.concat([u16(bytes.length), bytes]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
