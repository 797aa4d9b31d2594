/** Configured rules in the form the native half takes. */
import type { AclRule } from '../config/broker-config.js';
import type { NativeRule, NativeRuleSubjects } from './rules.js';

/** An empty list of the configuration is about everyone; there, one that is not given. */
export function nativeRule(rule: AclRule): NativeRule {
  const lists = {
    users: rule.users,
    clients: rule.clients,
    groups: rule.groups,
    certificates: rule.certificates,
    addresses: rule.addresses,
    listeners: rule.listeners,
  };
  const given = Object.entries(lists).filter(([, list]) => list.length > 0);
  const who: NativeRuleSubjects = {
    ...Object.fromEntries(given),
    ...(rule.anonymous !== undefined && { anonymous: rule.anonymous }),
    ...(rule.role !== undefined && { role: rule.role }),
  };
  return {
    effect: rule.effect,
    actions: rule.actions,
    who,
    filters: rule.filters,
    // At most 2 says nothing.
    ...(rule.qos < 2 && { qos: rule.qos }),
    ...(rule.retain !== undefined && { retain: rule.retain }),
    ...(rule.name !== '' && { name: rule.name }),
  };
}
