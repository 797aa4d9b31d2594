/** The plugins of rmqttd that decide about access, from their own files beside rmqtt.toml. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import { readConfigFile } from './files.js';
import type { Draft } from './import-draft.js';
import { authHttp } from './import-rmqtt-http.js';
import { shippedPlugins } from './import-rmqtt-rules.js';
import { absolutePath } from './paths.js';
import { isTable, type Layer } from './tree.js';

type Table = Readonly<Record<string, unknown>>;

/** `names`: those that it starts; rmqtt-acl it starts by itself. */
export async function importPlugins(
  draft: Draft,
  folder: string,
  beside: string,
  names: readonly string[],
): Promise<void> {
  const dir = absolutePath(folder, beside);
  await one(
    draft,
    join(dir, 'rmqtt-acl.toml'),
    'rmqttd starts its plugin rmqtt-acl by itself',
    acl,
  );
  if (names.includes('rmqtt-auth-jwt')) {
    await one(draft, join(dir, 'rmqtt-auth-jwt.toml'), 'plugin rmqtt-auth-jwt', jwt);
  }
  if (names.includes('rmqtt-auth-http')) {
    await one(draft, join(dir, 'rmqtt-auth-http.toml'), 'plugin rmqtt-auth-http', authHttp);
  }
  for (const [name, carry] of Object.entries(shippedPlugins)) {
    if (!names.includes(name)) continue;
    const file = join(dir, `${name}.toml`);
    if (existsSync(file)) await one(draft, file, `plugin ${name}`, carry);
    else draft.note([], `plugin ${name}; its file ${file} is not there, and not carried over`);
  }
}

export type Carry = (draft: Draft, root: Table, layer: Layer) => void;

async function one(draft: Draft, file: string, what: string, carry: Carry): Promise<void> {
  if (!existsSync(file)) {
    draft.unhandled(`${what}; its file ${file} is not there, and not carried over`);
    return;
  }
  let layer: Layer;
  try {
    layer = await readConfigFile(file);
  } catch (error) {
    draft.unhandled(`${what}: ${messageOf(error)}`);
    return;
  }
  carry(draft, layer.root, layer);
}

const kActions: Readonly<Record<string, string>> = {
  publish: 'publish',
  subscribe: 'subscribe',
  pubsub: 'all',
  all: 'all',
};

/** ["allow" | "deny", who, what, [topics]], the first that fits decides, as here. */
const acl: Carry = (draft, { rules, disconnect_if_pub_rejected }, layer) => {
  const at = layer.locate(['rules']);
  if (disconnect_if_pub_rejected !== false) {
    const from = `${layer.locate(['disconnect_if_pub_rejected'])} disconnect_if_pub_rejected`;
    draft.set(['acl'], 'v3_denied', 'disconnect', `${from}; MQTT 5.0 clients get 0x87`);
  }
  const list: readonly unknown[] = Array.isArray(rules) ? rules : [];
  let last: string | undefined;
  for (const [index, rule] of list.entries()) {
    const told = `${at} rules[${index}] ${JSON.stringify(rule)}`;
    last = undefined;
    if (!Array.isArray(rule)) {
      draft.unhandled(`${told}: no rule`);
      continue;
    }
    const [effect, who, what = 'all', topics] = rule as readonly unknown[];
    if (who === 'all' && rule.length === 2 && (effect === 'allow' || effect === 'deny')) {
      last = effect;
      if (index === list.length - 1) continue;
    }
    const subject = subjectOf(who);
    const filters = topics === undefined ? ['#', '$SYS/#'] : filtersOf(topics, effect);
    const actions = typeof what === 'string' ? kActions[what] : undefined;
    const fits = effect === 'allow' || effect === 'deny';
    if (!fits || subject === undefined || actions === undefined || filters === undefined) {
      draft.unhandled(
        `${told.replace(/"password":"[^"]*"/, '"password":(not copied)')}: no counterpart`,
      );
      continue;
    }
    const path = draft.element(['acl', 'rules']);
    draft.set(path, 'effect', effect, `${at} rules[${index}]`);
    for (const [key, value] of Object.entries(subject)) draft.set(path, key, [value], 'who');
    if (actions !== 'all') draft.set(path, 'actions', actions, String(what));
    draft.set(path, 'filters', filters, 'topics');
  }
  const why = last === undefined ? `${at}: no rule for all at its end` : `${at}: its last rule`;
  draft.set(['acl'], 'default', last ?? 'deny', why);
};

function subjectOf(who: unknown): Readonly<Record<string, string>> | undefined {
  if (who === 'all') return {};
  if (!isTable(who)) return undefined;
  const keys = { user: 'users', clientid: 'clients', ipaddr: 'addresses' } as const;
  const subject: Record<string, string> = {};
  for (const [key, value] of Object.entries(who)) {
    if (!Object.hasOwn(keys, key) || typeof value !== 'string') return undefined;
    subject[keys[key as 'user']] = value;
  }
  return subject;
}

/** { eq = "#" } is that filter alone: to deny it would deny everything below it here. */
function filtersOf(topics: unknown, effect: unknown): readonly string[] | undefined {
  if (!Array.isArray(topics)) return undefined;
  const filters = topics.map((topic: unknown) => {
    if (typeof topic === 'string') return topic;
    const literal = isTable(topic) && typeof topic.eq === 'string' ? topic.eq : undefined;
    return effect === 'deny' && literal !== undefined && /[+#]/.test(literal) ? undefined : literal;
  });
  return filters.includes(undefined) ? undefined : (filters as string[]);
}

const placeholder = (name: string) => `$\{${name}}`;

const jwt: Carry = (draft, root, layer) => {
  const from = (key: string) => `${layer.locate([key])} ${key}`;
  const path = draft.element(['auth', 'providers']);
  draft.set(path, 'kind', 'jwt', layer.name);
  if (root.from === 'username') draft.set(path, 'token', 'username', from('from'));
  if (root.encrypt === 'public-key') {
    const algorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384'];
    draft.set(path, 'algorithms', algorithms, `${from('encrypt')}: keep the one that is used`);
    draft.set(path, 'key_path', root.public_key, from('public_key'));
  } else {
    const algorithms = ['HS256', 'HS384', 'HS512'];
    draft.set(path, 'algorithms', algorithms, `${from('encrypt')}: keep the one that is used`);
    draft.unhandled(
      `${from('hmac_secret')} (not copied): give it as secret of the jwt provider, best as "file:PATH"`,
    );
  }
  const claims = isTable(root.validate_claims) ? root.validate_claims : {};
  const where = from('validate_claims');
  if (claims.exp !== true) draft.set(path, 'require_expiry', false, `${where}.exp is not true`);
  const list = (value: unknown) => (Array.isArray(value) ? value.map(String) : [String(value)]);
  for (const [name, value] of Object.entries(claims)) {
    if (name === 'exp' || name === 'nbf') continue;
    const place = `${where}.${name}`;
    if (name === 'iss') draft.set(path, 'issuers', list(value), place);
    else if (name === 'aud') draft.set(path, 'audiences', list(value), place);
    else if (value === placeholder('clientid')) draft.set(path, 'client_id_claim', name, place);
    else if (value === placeholder('username')) draft.set(path, 'username_claim', name, place);
    else draft.unhandled(`${place} = ${JSON.stringify(value)}: no counterpart`);
  }
};
