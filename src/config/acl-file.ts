/**
 * mosquitto's acl_file as rules. As there: lines before the first `user` are about clients without
 * a user name, `user` begins the lines of one, `pattern` is about everyone, and within each of
 * these `deny` comes first. As here: a subscription that is wider than the rules is refused,
 * unless acl.narrow is on; there it was granted, and what may not be read never came.
 */
import { readFileSync } from 'node:fs';
import { fail } from '../errors.js';
import type { AclRule } from './broker-config.js';
import { placedAt } from './places.js';
import { readFailure } from './read-failure.js';
import { isTopicFilter } from './topic-filter.js';

const kActions = { read: 'subscribe', write: 'publish', readwrite: 'all', deny: 'all' } as const;
type Access = keyof typeof kActions;

/** Throws with the file, or with the file and the line. */
export function readAclFile(file: string): readonly AclRule[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw fail('ST_CONFIG_READ', { file, why: readFailure(cause) }, { cause });
  }
  return parseAclFile(file, text);
}

export function parseAclFile(file: string, text: string): readonly AclRule[] {
  const ofUsers: AclRule[] = [];
  const patterns: AclRule[] = [];
  let who: Partial<AclRule> = { anonymous: true };
  for (const [index, content] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = `${file}:${index + 1}:1`;
    const wrong = (why: string) => fail('ST_CONFIG_SYNTAX', { where: line, why });
    const [, word, rest = ''] = /^\s*([^#\s]\S*)\s*(.*?)\s*$/.exec(content) ?? [];
    if (word === undefined) continue;
    switch (word) {
      case 'user':
        if (rest === '') throw wrong('user without a name');
        // Names of rules have * for any text, and those of a file are plain.
        if (rest.includes('*')) throw wrong(`a user name with * cannot be said in a rule`);
        who = { users: [rest] };
        break;
      case 'topic': {
        const rule = { ...who, ...accessOf(rest, wrong) };
        // There they are plain text in a topic line.
        const filters = rule.filters.map((filter) => filter.replaceAll('%', '%%'));
        ofUsers.push(placedAt(line, ruleOf({ ...rule, filters })));
        break;
      }
      case 'pattern':
        patterns.push(placedAt(line, ruleOf(accessOf(rest, wrong))));
        break;
      default:
        throw wrong(`"${word}" is none of user, topic, pattern`);
    }
  }
  return [...deniesFirst(ofUsers), ...deniesFirst(patterns)];
}

/** "[read|write|readwrite|deny] FILTER"; a filter with spaces in it needs the first word. */
function accessOf(
  rest: string,
  wrong: (why: string) => Error,
): Pick<AclRule, 'effect' | 'actions' | 'filters'> {
  const [, first = '', second = ''] = /^(\S*)\s*(.*)$/.exec(rest) ?? [];
  const [access, filter] = second === '' ? ['readwrite', first] : [first, second];
  if (!Object.hasOwn(kActions, access)) {
    throw wrong(`"${access}" is none of read, write, readwrite, deny`);
  }
  if (filter === '') throw wrong('a topic is missing');
  if (!isTopicFilter(filter)) throw wrong(`"${filter}" is not a valid Topic Filter`);
  return {
    effect: access === 'deny' ? 'deny' : 'allow',
    actions: kActions[access as Access],
    filters: [filter],
  };
}

/** Stable: the order of the others is that of the file. */
function deniesFirst(rules: readonly AclRule[]): readonly AclRule[] {
  return [
    ...rules.filter(({ effect }) => effect === 'deny'),
    ...rules.filter(({ effect }) => effect === 'allow'),
  ];
}

function ruleOf(
  given: Partial<AclRule> & Pick<AclRule, 'effect' | 'actions' | 'filters'>,
): AclRule {
  return {
    users: [],
    clients: [],
    groups: [],
    certificates: [],
    addresses: [],
    listeners: [],
    anonymous: undefined,
    role: undefined,
    qos: 2,
    retain: undefined,
    name: '',
    ...given,
  };
}
