/** All of [acl] as the native half takes it: rules of the configuration, then those of its files. */
import type { AclConfig, AclRule } from '../config/broker-config.js';
import { fail, messageOf } from '../errors.js';
import { nativeRule } from './access-rules.js';
import type { NativeBroker } from './addon.js';
import { encodeRules, type NativeRuleOptions } from './rules.js';

export interface RuleSet {
  readonly bytes: Uint8Array;
  readonly options: NativeRuleOptions;
  /** Of each rule, from 0: where it comes from. */
  readonly placeOf: (index: number) => string;
}

/** `files`: each with its rules, in the order of acl.files. */
export function ruleSet(
  acl: AclConfig | undefined,
  files: readonly (readonly [file: string, rules: readonly AclRule[]])[],
): RuleSet {
  const own = acl?.rules ?? [];
  const all = [...own, ...files.flatMap(([, rules]) => rules)];
  const places = [
    ...own.map((_, index) => `acl.rules[${index}]`),
    ...files.flatMap(([file, rules]) => rules.map(() => file)),
  ];
  return {
    bytes: encodeRules(all.map(nativeRule)),
    options: {
      default: acl?.default ?? 'allow',
      v3_denied: acl?.v3Denied ?? 'drop',
      narrow: acl?.narrow ?? false,
    },
    placeOf: (index) => places[index] ?? 'acl',
  };
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
