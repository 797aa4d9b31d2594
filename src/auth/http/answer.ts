/** What a server says of a client (docs/AUTHENTICATION.md, "http"), as a decision. */
import { allow, type Decision, deny, ignore } from '../provider.js';
import type { Accept, ClientLimits } from '../verdict.js';
import { readRules } from '../verdict-rules.js';
import type { HttpAnswer } from './client.js';

/** Throws where it is no answer: the client is then refused with 0x88. Never quotes the answer. */
export function decisionOfAnswer({ status, body }: HttpAnswer): Decision {
  if (status === 204) return allow();
  if (status === 401 || status === 403) return deny('bad_credentials');
  if (status !== 200) throw new Error(`its answer is ${status}`);
  const said = body.toString('utf8').trim();
  // As rmqttd has it: the word alone.
  if (said === 'allow') return allow();
  if (said === 'deny') return deny('bad_credentials');
  if (said === 'ignore') return ignore;
  let value: unknown;
  try {
    value = JSON.parse(said);
  } catch {
    throw new Error('its answer is no JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error('its answer is no object');
  }
  return decisionOf(value as Fields);
}

type Fields = Readonly<Record<string, unknown>>;

const kKeys = new Set([
  'result',
  'username',
  'client_id',
  'tenant',
  'device_id',
  'role',
  'groups',
  'rules',
  'limits',
  'expires_in',
  'max_session_expiry_s',
  'max_qos',
  'server_keep_alive_s',
  'allow_will',
  'reason',
]);
const kLimits: Readonly<Record<string, keyof ClientLimits>> = {
  max_messages_per_s: 'maxMessagesPerSecond',
  max_bytes_per_s: 'maxBytesPerSecond',
  max_subscriptions: 'maxSubscriptions',
  max_packet_size: 'maxPacketSize',
};

function decisionOf(fields: Fields): Decision {
  switch (fields.result) {
    case 'ignore':
      return ignore;
    case 'deny':
      return deny('bad_credentials', text(fields, 'reason'));
    case 'allow':
      break;
    default:
      throw new Error('its answer has no result of allow, deny or ignore');
  }
  // A restriction that is misspelt must not be lost.
  const unknown = Object.keys(fields).filter((key) => !kKeys.has(key));
  if (unknown.length > 0) throw new Error(`its answer has ${unknown.length} unknown keys`);
  const { role, groups, rules, limits, allow_will: allowWill } = fields;
  if (allowWill !== undefined && typeof allowWill !== 'boolean') {
    throw new Error('its allow_will is neither true nor false');
  }
  // Whether numbers and names are in range is seen where all verdicts are checked.
  return allow({
    username: text(fields, 'username'),
    clientId: text(fields, 'client_id'),
    tenant: text(fields, 'tenant'),
    deviceId: text(fields, 'device_id'),
    role: role as Accept['role'],
    groups: groups as Accept['groups'],
    rules: rules === undefined ? undefined : readRules(rules),
    limits: limits === undefined ? undefined : limitsOf(limits),
    expiresIn: number(fields, 'expires_in'),
    maxSessionExpiry: number(fields, 'max_session_expiry_s'),
    maxQos: number(fields, 'max_qos') as Accept['maxQos'],
    serverKeepAlive: number(fields, 'server_keep_alive_s'),
    allowWill,
  });
}

function limitsOf(value: unknown): ClientLimits {
  if (typeof value !== 'object' || value === null) throw new Error('its limits are no object');
  const entries = Object.entries(value as Fields).map(([key]) => {
    const name = kLimits[key];
    if (name === undefined) throw new Error('its limits have unknown keys');
    return [name, number(value as Fields, key)];
  });
  return Object.fromEntries(entries) as ClientLimits;
}

function text(fields: Fields, key: string): string | undefined {
  const value = fields[key];
  if (value === undefined || typeof value === 'string') return value;
  throw new Error(`its ${key} is no text`);
}

function number(fields: Fields, key: string): number | undefined {
  const value = fields[key];
  if (value === undefined || typeof value === 'number') return value;
  throw new Error(`its ${key} is no number`);
}
