/** Rules of one client, as they come from a token, a server or a handler: unknown values to rules. */
import { isMqttText } from '../native/commands.js';
import { encodeRules, type NativeRule } from '../native/rules.js';

/** A rule of one client; the first that fits decides, before the rules of the configuration. */
export interface ClientRule {
  /** Default: allow. */
  readonly effect?: 'allow' | 'deny' | undefined;
  /** Default: all. */
  readonly actions?: 'publish' | 'subscribe' | 'all' | undefined;
  /** Topic Filters; %c, %u, %t and %d stand for the client's own values. */
  readonly filters: readonly string[];
  /** At most. */
  readonly qos?: 0 | 1 | 2 | undefined;
  /** false = only without RETAIN. */
  readonly retain?: boolean | undefined;
  /** What logs call it. */
  readonly name?: string | undefined;
}

const kMaxRules = 4096;
/** What the native half takes of one client. */
const kMaxBytes = 1024 * 1024;

/** Of what should be a list of ClientRule. Throws with what is wrong with which one. */
export function readRules(value: unknown): NativeRule[] {
  if (!Array.isArray(value)) throw new TypeError('not a list');
  if (value.length > kMaxRules) throw new TypeError(`more than ${kMaxRules}`);
  const rules = value.map((rule: unknown, index) => readRule(rule, `rule ${index + 1}`));
  if (encodeRules(rules).length > kMaxBytes) throw new TypeError(`more than ${kMaxBytes} bytes`);
  return rules;
}

const known = new Set(['effect', 'actions', 'filters', 'qos', 'retain', 'name']);

function readRule(value: unknown, which: string): NativeRule {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${which} is no object`);
  }
  const rule = value as Readonly<Record<string, unknown>>;
  // A misspelt "effect" would turn a denial into a permission.
  if (Object.keys(rule).some((key) => !known.has(key))) {
    throw new TypeError(`${which} has a key that is none of ${[...known].join(', ')}`);
  }
  const { effect = 'allow', actions = 'all', filters, qos, retain, name } = rule;
  if (effect !== 'allow' && effect !== 'deny') {
    throw new TypeError(`${which}: effect is neither allow nor deny`);
  }
  if (actions !== 'publish' && actions !== 'subscribe' && actions !== 'all') {
    throw new TypeError(`${which}: actions is none of publish, subscribe, all`);
  }
  if (!Array.isArray(filters) || filters.length === 0 || !filters.every(isFilter)) {
    throw new TypeError(`${which}: filters is no list of Topic Filters`);
  }
  if (qos !== undefined && qos !== 0 && qos !== 1 && qos !== 2) {
    throw new TypeError(`${which}: qos is none of 0, 1, 2`);
  }
  if (retain !== undefined && typeof retain !== 'boolean') {
    throw new TypeError(`${which}: retain is neither true nor false`);
  }
  if (name !== undefined && !isMqttText(name)) throw new TypeError(`${which}: name is no text`);
  return {
    effect,
    actions,
    who: {},
    filters,
    ...(qos === undefined ? {} : { qos }),
    ...(retain === undefined ? {} : { retain }),
    ...(name === undefined ? {} : { name }),
  };
}

/** Wildcards alone on their levels, "#" at the end. */
function isFilter(value: unknown): value is string {
  if (!isMqttText(value) || value === '') return false;
  const levels = value.split('/');
  return levels.every(
    (level, index) =>
      level === '+' || (level === '#' ? index === levels.length - 1 : !/[+#]/.test(level)),
  );
}
