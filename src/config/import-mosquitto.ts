/** A mosquitto.conf as a configuration of st-mqttd. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fail, messageOf } from '../errors.js';
import type { AclRule } from './access-config.js';
import { readAclFile } from './acl-file.js';
import { formatAddress } from './address.js';
import { Draft, type Rule } from './import-draft.js';
import { kNothing, mosquittoGlobals, mosquittoListener } from './import-mosquitto-options.js';
import { absolutePath } from './paths.js';
import { readFailure } from './read-failure.js';
import { withoutUrlSecrets } from './shown.js';

export interface Setting {
  readonly name: string;
  readonly value: string;
  /** "mosquitto.conf:12" */
  readonly where: string;
}

/** One `listener` with what follows it; the default listener of `port` and `bind_address` too. */
interface Source {
  readonly settings: Setting[];
  listen: { readonly port: number; readonly host: string; readonly unix: string; where: string };
}

/** Of options that hold one, in any spelling: never copied, not even into a comment. */
const kSecret = /passw|psk|_pw$|auth_opt|plugin_opt|secret|token/i;

export function importMosquitto(file: string): string {
  const draft = new Draft(`Imported from ${file}, a mosquitto.conf, by st-mqttd import.`);
  const settings = readSettings(file, 0);
  const perListener = settings.some(
    ({ name, value }) => name === 'per_listener_settings' && value === 'true',
  );
  const { globals, sources, unopened } = split(settings, perListener);
  const seen = new Set<string>();
  for (const setting of [...globals, ...unopened]) {
    if (!kNothing.has(setting.name)) global(draft, setting, seen);
  }
  const isOpen = (own: readonly Setting[]): Setting | boolean => {
    // With per_listener_settings, one listener's word is no other's.
    const heard = perListener ? own : [...globals, ...own];
    const said = heard.findLast(({ name }) => /allow_anonymous$/.test(name));
    // mosquitto 2: without a listener only this machine connects, and anonymously.
    if (said === undefined) return sources.length === 0;
    return said;
  };
  if (sources.length === 0) {
    const path = ['unified', '1'];
    const from = 'mosquitto without a listener: this machine only';
    draft.set(path, 'listen', ['127.0.0.1:1883', '[::1]:1883'], from);
    open(draft, path, isOpen(unopened));
    access(draft, perListener ? [] : globals, []);
    access(draft, unopened, []);
  }
  const names = sources.map((source, index) => writeListener(draft, source, index, isOpen));
  // With per_listener_settings, its files are about its clients alone.
  if (perListener && sources.length === 1) access(draft, sources[0]?.settings ?? [], []);
  else if (perListener) accessOfEach(draft, sources, names, dirname(file));
  if (!perListener && sources.length > 0) {
    access(draft, [...globals, ...sources.flatMap(({ settings }) => settings)], []);
  }
  return draft.text();
}

/** password_file and acl_file; `only`: the listeners that they are about, none = all of them. */
function access(draft: Draft, settings: readonly Setting[], only: readonly string[]): void {
  passwords(draft, settings, only);
  const acl = lastOf(settings, 'acl_file');
  if (acl === undefined) return;
  const from = `${acl.where} acl_file`;
  draft.set(['acl'], 'files', [acl.value], from);
  draft.set(['acl'], 'narrow', true, `${from}: ${kNarrow}`);
}

const kNarrow = 'there a subscription wider than the rules is taken';
const lastOf = (settings: readonly Setting[], wanted: string) =>
  settings.findLast(({ name }) => name === wanted);

function passwords(draft: Draft, settings: readonly Setting[], only: readonly string[]): void {
  const file = lastOf(settings, 'password_file');
  if (file === undefined) return;
  const from = `${file.where} password_file`;
  const path = draft.element(['auth', 'providers']);
  draft.set(path, 'kind', 'password_file', from);
  draft.set(path, 'path', file.value, from);
  if (only.length > 0) draft.set(path, 'listeners', only, from);
}

/**
 * Files of rules are about all listeners here, so those of one become rules that name it; and a
 * listener without a file, where everything is allowed there, gets a rule that says so.
 */
function accessOfEach(
  draft: Draft,
  sources: readonly Source[],
  names: readonly string[],
  folder: string,
): void {
  const without: string[] = [];
  let isAny = false;
  for (const [index, { settings }] of sources.entries()) {
    const only = [names[index] ?? ''];
    passwords(draft, settings, only);
    const acl = lastOf(settings, 'acl_file');
    if (acl === undefined) {
      without.push(...only);
      continue;
    }
    isAny = true;
    const from = `${acl.where} acl_file`;
    try {
      const rules = readAclFile(absolutePath(acl.value, folder));
      draft.set(['acl'], 'default', 'deny', `${from}: what no line of it allows`);
      draft.set(['acl'], 'narrow', true, `${from}: ${kNarrow}`);
      for (const rule of rules) writeRule(draft, rule, only, `${acl.value} of ${from}`);
    } catch (error) {
      const why = `its rules are about ${only.join()} alone, and become [[acl.rules]] where the file can be read`;
      draft.unhandled(`${from} ${acl.value}: ${why}: ${messageOf(error)}`);
    }
  }
  if (!isAny || without.length === 0) return;
  const path = draft.element(['acl', 'rules']);
  draft.set(path, 'effect', 'allow', 'mosquitto allows all where a listener has no acl_file');
  draft.set(path, 'listeners', without, 'these have none');
  draft.set(path, 'filters', ['#', '$SYS/#'], 'all topics');
}

function writeRule(
  draft: Draft,
  { effect, actions, users, anonymous, filters }: AclRule,
  listeners: readonly string[],
  from: string,
): void {
  const path = draft.element(['acl', 'rules']);
  draft.set(path, 'effect', effect, from);
  draft.set(path, 'listeners', listeners, from);
  if (users.length > 0) draft.set(path, 'users', users, from);
  if (anonymous !== undefined) draft.set(path, 'anonymous', anonymous, from);
  draft.set(path, 'actions', actions, from);
  draft.set(path, 'filters', filters, from);
}

/** Options of a listener that writeListener() reads by itself. */
const ofTheListener = new Set(['protocol', 'socket_domain', 'listener_allow_anonymous']);

/** Comments and empty lines aside, a line is a name and a value up to its end. */
function readSettings(file: string, depth: number): readonly Setting[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw fail('ST_CONFIG_READ', { file, why: readFailure(cause) }, { cause });
  }
  const settings: Setting[] = [];
  for (const [index, line] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    const match = /^\s*([^#\s]\S*)\s*(.*?)\s*$/.exec(line);
    const [, name, value = ''] = match ?? [];
    if (name === undefined) continue;
    const where = `${file}:${index + 1}`;
    if (name !== 'include_dir') settings.push({ name, value, where });
    else settings.push(...readFolder(value, where, depth));
  }
  return settings;
}

/** The files of include_dir that end in .conf, in the order of their names. */
function readFolder(folder: string, where: string, depth: number): readonly Setting[] {
  if (depth > 8) {
    throw fail('ST_CONFIG_SYNTAX', { where, why: 'include_dir includes itself' });
  }
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.conf'));
  } catch (cause) {
    const why = `include_dir ${folder}: ${readFailure(cause)}`;
    throw fail('ST_CONFIG_SYNTAX', { where, why }, { cause });
  }
  return names.sort().flatMap((name) => readSettings(join(folder, name), depth + 1));
}

function split(
  settings: readonly Setting[],
  perListener: boolean,
): {
  readonly globals: readonly Setting[];
  readonly sources: readonly Source[];
  /** Of the default listener, where there is none: what stands before the first `listener`. */
  readonly unopened: readonly Setting[];
} {
  const globals: Setting[] = [];
  const sources: Source[] = [];
  const first: Source = {
    settings: [],
    listen: { port: 1883, host: '', unix: '', where: '' },
  };
  let current = first;
  let isBridge = false;
  for (const setting of settings) {
    const { name, value, where } = setting;
    if (name === 'connection') isBridge = true;
    if (name === 'listener') {
      isBridge = false;
      const [port = '', host = ''] = value.split(/\s+/);
      const unix = Number(port) === 0 ? host : '';
      current = {
        settings: [],
        listen: { port: portOf(port, where), host: unix === '' ? host : '', unix, where },
      };
      sources.push(current);
    } else if (name === 'port' || name === 'bind_address') {
      if (!sources.includes(first)) sources.unshift(first);
      first.listen =
        name === 'port'
          ? { ...first.listen, port: portOf(value, where), where }
          : { ...first.listen, host: value, where: first.listen.where || where };
    } else if (isBridge) {
      globals.push({ ...setting, name: `bridge ${name}` });
    } else if (
      mosquittoListener.has(name) ||
      ofTheListener.has(name) ||
      (perListener && /^(allow_anonymous|password_file|acl_file|psk_file|plugin|auth_)/.test(name))
    ) {
      current.settings.push(setting);
    } else {
      globals.push(setting);
    }
  }
  return { globals, sources, unopened: sources.includes(first) ? [] : first.settings };
}

function portOf(text: string, where: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65535) return port;
  throw fail('ST_CONFIG_VALUE', {
    where,
    key: 'port',
    found: JSON.stringify(text),
    allowed: 'a port from 0 to 65535',
  });
}

function global(draft: Draft, setting: Setting, seen: Set<string>): void {
  const { name, value, where } = setting;
  if (name.startsWith('bridge ')) {
    const told = kSecret.test(name) ? '(not copied)' : withoutUrlSecrets(value);
    draft.note([], `${where}: ${name} ${told}: bridges are not there yet`);
    return;
  }
  apply(draft, [], setting, mosquittoGlobals, seen);
}

function apply(
  draft: Draft,
  path: readonly string[],
  { name, value, where }: Setting,
  rules: ReadonlyMap<string, Rule>,
  seen: Set<string>,
): void {
  const isSecret = kSecret.test(name) && !/_file$/.test(name);
  const told = isSecret ? '(not copied)' : withoutUrlSecrets(value);
  const from = `${where} ${name} ${told}`;
  const rule = rules.get(name);
  if (rule === undefined) {
    // Nobody knows what it asks for: it may be about access, as a plugin's options are.
    draft.unhandled(`${from}: unknown to st-mqttd import`);
    return;
  }
  rule(value, {
    seen,
    set: (table, key, taken) => draft.set([...path, ...table], key, taken, from),
    note: (why) => draft.note(path, `${from}: ${why}`),
    unhandled: (why) => draft.unhandled(`${from}: ${why}`),
    number: () => {
      if (/^-?\d+$/.test(value)) return Number(value);
      const found = JSON.stringify(value);
      throw fail('ST_CONFIG_VALUE', { where, key: name, found, allowed: 'an integer' });
    },
  });
}

/** Its name here. */
function writeListener(
  draft: Draft,
  { settings, listen }: Source,
  index: number,
  isOpen: (own: readonly Setting[]) => Setting | boolean,
): string {
  const value = (wanted: string) => settings.findLast(({ name }) => name === wanted)?.value;
  const kind = value('protocol') === 'websockets' ? 'ws' : 'unified';
  const path = [kind, String(index + 1)];
  const from = `${listen.where} listener`;
  const protocol = value('protocol') ?? 'mqtt';
  if (protocol !== 'mqtt' && protocol !== 'websockets') {
    draft.unhandled(
      `the listener of ${listen.where} has the protocol ${protocol}, which is not there`,
    );
  }
  if (listen.unix !== '') {
    draft.set(path, 'unix', listen.unix, from);
  } else {
    const hosts =
      listen.host !== ''
        ? [listen.host]
        : ({ ipv4: ['0.0.0.0'], ipv6: ['::'] }[value('socket_domain') ?? ''] ?? ['0.0.0.0', '::']);
    const addresses = hosts.map((host) => formatAddress(host, listen.port));
    draft.set(path, 'listen', addresses.length === 1 ? addresses[0] : addresses, from);
  }
  for (const setting of settings) {
    if (!kNothing.has(setting.name)) apply(draft, path, setting, mosquittoListener, new Set());
  }
  open(draft, path, isOpen(settings));
  return path.join('-');
}

/** Whether it takes clients that nobody knows, as the source says or by its default. */
function open(draft: Draft, path: readonly string[], said: Setting | boolean): void {
  if (said === true) return;
  const why =
    said === false
      ? 'allow_anonymous is not there, which is false beside a listener'
      : `${said.where} allow_anonymous ${said.value}`;
  draft.set(path, 'allow_anonymous', said !== false && said.value === 'true', why);
}
