/** All of [acl] as the native half takes it: rules of the configuration, then those of its files. */
import type { AclConfig, AclRule } from '../config/broker-config.js';
import { fail, messageOf } from '../errors.js';
import { nativeRule } from './access-rules.js';
import type { NativeBroker } from './addon.js';
import { encodeRules, type NativeRule, type NativeRuleOptions } from './rules.js';

export interface RuleSet {
  readonly bytes: Uint8Array;
  readonly options: NativeRuleOptions;
  /** Of each rule, from 0: where it comes from. */
  readonly placeOf: (index: number) => string;
}

/** `ofFiles`: those of acl.files, in their order. `placeOf`: of a rule, for messages. */
export function ruleSet(
  acl: AclConfig | undefined,
  ofFiles: readonly AclRule[],
  placeOf: (rule: AclRule) => string | undefined = () => undefined,
): RuleSet {
  const own = acl?.rules ?? [];
  const all = [...own, ...ofFiles];
  const place = (index: number) => {
    const rule = all[index];
    if (rule === undefined) return 'acl';
    return placeOf(rule) ?? (index < own.length ? `acl.rules[${index}]` : 'acl.files');
  };
  return {
    bytes: encoded(all.map(nativeRule), place),
    options: {
      default: acl?.default ?? 'allow',
      v3_denied: acl?.v3Denied ?? 'drop',
      narrow: acl?.narrow ?? false,
    },
    placeOf: place,
  };
}

function encoded(rules: readonly NativeRule[], placeOfRule: RuleSet['placeOf']): Uint8Array {
  try {
    return encodeRules(rules);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const index = rules.findIndex((rule) => !isEncodable(rule));
    throw fail('ST_CONFIG_CONFLICT', { where: placeOfRule(index), why: cause.message }, { cause });
  }
}

function isEncodable(rule: NativeRule): boolean {
  try {
    return encodeRules([rule]).length > 0;
  } catch {
    return false;
  }
}

/** All or nothing: where a rule is none, it throws with its place, and what was in force stays. */
export function applyRules(native: Pick<NativeBroker, 'setRules'>, rules: RuleSet): void {
  try {
    native.setRules(rules.bytes, rules.options);
  } catch (cause) {
    const index = cause instanceof Error && 'rule' in cause ? Number(cause.rule) : Number.NaN;
    const where = rules.placeOf(index);
    throw fail('ST_CONFIG_CONFLICT', { where, why: messageOf(cause) }, { cause });
  }
}
