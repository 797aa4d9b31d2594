/** `[auth]`: the providers, in their order, and what becomes of failed logins. */

import {
  anyProviderRows,
  failedLoginRows,
  fieldRow,
  type ProviderKind,
  providerRows,
  secretRow,
} from './auth-options.js';
import type { AuthConfig, ProviderConfig, StaticUser } from './broker-config.js';
import { placedIn } from './places.js';
import type { Reader } from './reader.js';
import type { Rows, ValueTable } from './rows.js';
import { keyOf, type TableNode, whereOf } from './tree.js';
import { rowValue } from './values.js';

type Common = Pick<ProviderConfig, 'name' | 'listeners' | 'where'>;

export function readAuth(
  reader: Reader,
  root: TableNode,
  listenerNames: ReadonlySet<string>,
): AuthConfig | undefined {
  const node = reader.tableAt(root, 'auth');
  if (node === undefined) return undefined;
  reader.unserved(node, {}, 'auth');
  const failed = reader.rows(
    'auth.failed_logins',
    reader.tableAt(node, 'failed_logins'),
    failedLoginRows,
    'failed_logins',
  ) as unknown as ValueTable<typeof failedLoginRows>;
  const names = new Set<string>();
  const providers = reader.tablesAt(node, 'providers').map((table, index) => {
    const provider = readProvider(reader, table, `auth.providers[${index}]`, names);
    for (const listener of provider.listeners) {
      if (listenerNames.has(listener)) continue;
      const why = `${keyOf(table)} listeners: there is no listener "${listener}"`;
      throw reader.conflict(table, 'listeners', why);
    }
    return provider;
  });
  return {
    providers,
    failedLogins: {
      perAddress: failed.per_address,
      windowS: failed.window_s,
      banS: failed.ban_s,
      delayMs: failed.delay_ms,
    },
  };
}

function readProvider(
  reader: Reader,
  node: TableNode,
  table: string,
  names: Set<string>,
): ProviderConfig {
  const kind = kindOf(reader, node);
  const own: Rows = providerRows[kind];
  const values = reader.rows(table, node, { ...anyProviderRows, ...own }, kind);
  const common: Common = {
    name: nameOf(reader, node, kind, values.name as string, names),
    listeners: values.listeners as readonly string[],
    where: whereOf(node),
  };
  return placedIn(node, makers[kind](common, values, { reader, node, table }));
}

/** Before its other keys, which depend on it. */
function kindOf(reader: Reader, node: TableNode): ProviderKind {
  const kind = node.children.get('kind');
  if (kind === undefined) throw reader.missing(node, 'kind', anyProviderRows.kind);
  return rowValue(kind, anyProviderRows.kind) as ProviderKind;
}

/** Its own, or its kind: "jwt", "jwt-2". */
function nameOf(
  reader: Reader,
  node: TableNode,
  kind: ProviderKind,
  given: string,
  names: Set<string>,
): string {
  if (given !== '' && names.has(given)) {
    throw reader.conflict(node, 'name', `there are two providers of the name "${given}"`);
  }
  let name = given === '' ? kind : given;
  for (let number = 2; names.has(name); number++) name = `${kind}-${number}`;
  names.add(name);
  return name;
}

interface Place {
  readonly reader: Reader;
  readonly node: TableNode;
  readonly table: string;
}
type Maker = (
  common: Common,
  values: Readonly<Record<string, unknown>>,
  place: Place,
) => ProviderConfig;

const optional = (value: unknown) => (value === '' ? undefined : (value as string));

const makers: Readonly<Record<ProviderKind, Maker>> = {
  handler: (common) => ({ kind: 'handler', ...common }),
  static: (common, _, { reader, node, table }) => {
    const users: StaticUser[] = [...reader.named(table, node, 'users', secretRow)].map(
      ([name, password]) => ({ name, password: password as string }),
    );
    return { kind: 'static', ...common, users };
  },
  certificate: (common, values) => {
    const { username } = values as ValueTable<typeof providerRows.certificate>;
    return { kind: 'certificate', ...common, username: username as 'cn' | 'dn' | 'san' };
  },
  password_file: (common, values, { reader, node }) => {
    const rows = values as ValueTable<typeof providerRows.password_file>;
    if (rows.path === '') throw reader.missing(node, 'path', providerRows.password_file.path);
    return {
      kind: 'password_file',
      ...common,
      path: rows.path,
      cacheTtlS: rows.cache_ttl_s,
      cacheMax: rows.cache_max,
      maxConcurrent: rows.max_concurrent,
    };
  },
  scram: (common, values, { reader, node }) => {
    const rows = values as ValueTable<typeof providerRows.scram>;
    if (rows.path === '') throw reader.missing(node, 'path', providerRows.scram.path);
    const methods = rows.methods as readonly ('SCRAM-SHA-256' | 'SCRAM-SHA-512')[];
    if (methods.length === 0) throw reader.missing(node, 'methods', providerRows.scram.methods);
    return { kind: 'scram', ...common, path: rows.path, methods };
  },
  http: (common, values, { reader, node, table }) => {
    const rows = values as ValueTable<typeof providerRows.http>;
    if (rows.url === '') throw reader.missing(node, 'url', providerRows.http.url);
    if ((rows.cert_path === '') !== (rows.key_path === '')) {
      const [there, lacks] =
        rows.cert_path === '' ? ['key_path', 'cert_path'] : ['cert_path', 'key_path'];
      throw reader.conflict(node, there ?? '', `${there} needs ${lacks} beside it`);
    }
    const headers = reader.named(table, node, 'headers', secretRow);
    for (const name of headers.keys()) {
      if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) continue;
      throw reader.conflict(node, 'headers', `"${name}" is no name of a header`);
    }
    return {
      kind: 'http',
      ...common,
      url: rows.url,
      format: rows.format as 'json' | 'form',
      headers: Object.fromEntries(headers) as Record<string, string>,
      fields: Object.fromEntries(reader.named(table, node, 'fields', fieldRow)) as Record<
        string,
        string
      >,
      timeoutMs: rows.timeout_ms,
      cacheTtlS: rows.cache_ttl_s,
      negativeTtlS: rows.negative_ttl_s,
      cacheMax: rows.cache_max,
      maxConcurrent: rows.max_concurrent,
      maxQueue: rows.max_queue,
      caPath: optional(rows.ca_path),
      certPath: optional(rows.cert_path),
      keyPath: optional(rows.key_path),
    };
  },
  jwt: (common, values, { reader, node }) => {
    const rows = values as ValueTable<typeof providerRows.jwt>;
    const { algorithms } = rows;
    if (algorithms.length === 0) {
      throw reader.missing(node, 'algorithms', providerRows.jwt.algorithms);
    }
    const keys = (['secret', 'key_path', 'jwks_url'] as const).filter((key) => rows[key] !== '');
    if (keys.length !== 1) {
      const why = `a jwt provider has one of secret, key_path and jwks_url; this one has ${keys.length === 0 ? 'none' : keys.join(' and ')}`;
      throw reader.conflict(node, keys[1] ?? '', why);
    }
    // A public key taken for an HMAC secret would let anyone sign.
    const unfit = algorithms.find((name) => name.startsWith('HS') !== (rows.secret !== ''));
    if (unfit !== undefined && keys[0] !== 'jwks_url') {
      throw reader.conflict(node, 'algorithms', `${unfit} does not go with ${keys[0]}`);
    }
    return {
      kind: 'jwt',
      ...common,
      algorithms,
      secret: optional(rows.secret),
      keyPath: optional(rows.key_path),
      jwksUrl: optional(rows.jwks_url),
      jwksCacheS: rows.jwks_cache_s,
      jwksCooldownS: rows.jwks_cooldown_s,
      jwksTimeoutMs: rows.jwks_timeout_ms,
      caPath: optional(rows.ca_path),
      issuers: rows.issuers,
      audiences: rows.audiences,
      leewayS: rows.leeway_s,
      requireExpiry: rows.require_expiry as boolean,
      token: rows.token as 'password' | 'username',
      usernameClaim: rows.username_claim,
      clientIdClaim: rows.client_id_claim,
      groupsClaim: rows.groups_claim,
      aclClaim: rows.acl_claim,
      tenantClaim: rows.tenant_claim,
      deviceIdClaim: rows.device_id_claim,
      roleClaim: rows.role_claim,
    };
  },
};
