/**
 * Providers from their configuration. What a provider needs is loaded where one of its kind is
 * configured. Whatever is wrong with one is ST_AUTH_CONFIG or ST_AUTH_FILE, before anything listens.
 */
import type { HttpProvider, JwtProvider, ProviderConfig } from '../config/broker-config.js';
import { atPlace, placeOf } from '../config/places.js';
import { readFailure } from '../config/read-failure.js';
import { assertNever, fail, messageOf } from '../errors.js';
import type { ClientTls, TlsPaths } from './http/tls-files.js';
import type { KeySource } from './jwt/key-source.js';
import { type Made, Opened } from './opened.js';
import type { AuthProvider } from './provider.js';
import { HandlerProvider } from './providers/handler.js';
import type { AuthHandler } from './verdict.js';

export interface ProviderDeps {
  readonly handler: AuthHandler | undefined;
  /** What goes wrong later: a file that changes to something wrong, a server that does not answer. */
  readonly onError: (error: unknown) => void;
  readonly warn: (text: string) => void;
}

const kMaxJwksBytes = 1024 * 1024;
const kMaxAnswerBytes = 256 * 1024;

/**
 * Those of all tables, in their order; where one cannot be opened, none stays open. A table that was
 * there `before` keeps what it has made.
 */
export async function openProviders(
  configs: readonly ProviderConfig[],
  deps: ProviderDeps,
  before: readonly Opened[],
): Promise<Opened[]> {
  const opened: Opened[] = [];
  try {
    for (const config of configs) {
      opened.push((await keep(config, before)) ?? Opened.make(config, await open(config, deps)));
    }
    return opened;
  } catch (error) {
    for (const one of opened) one.stop();
    throw error;
  }
}

/** Its files are read all the same: who reloads wants to know whether they are right. */
async function keep(
  config: ProviderConfig,
  before: readonly Opened[],
): Promise<Opened | undefined> {
  const old = before.find((one) => one.fits(config));
  if (old === undefined) return undefined;
  // Held before anything is waited for: its last chain may end meanwhile.
  const kept = old.share(config);
  try {
    if (kept.hasTls(await tlsOf(config))) {
      await kept.renew();
      return kept;
    }
  } catch (error) {
    kept.stop();
    throw error;
  }
  kept.stop();
  return undefined;
}

/** What has nothing to be read anew. */
function plain(provider: AuthProvider, tls: ClientTls = {}): Made {
  const renew = () => Promise.resolve();
  return { provider, methods: new Map(), tls, renew, stop: () => provider.stop?.() };
}

async function open(config: ProviderConfig, deps: ProviderDeps): Promise<Made> {
  const { name } = config;
  switch (config.kind) {
    case 'static': {
      const { StaticUsers } = await import('./providers/static-users.js');
      return plain(new StaticUsers(name, config.users));
    }
    case 'password_file': {
      const { PasswordFile } = await import('./providers/password-file.js');
      const onError = (error: unknown) => deps.onError(atPlace(error, config, 'path'));
      const told = (error: unknown) => {
        throw atPlace(error, config, 'path');
      };
      const provider = await PasswordFile.open(config, onError).catch(told);
      return { ...plain(provider), renew: () => provider.renew().catch(told) };
    }
    case 'certificate': {
      const { CertificateIdentity } = await import('./providers/certificate-identity.js');
      return plain(new CertificateIdentity(name, config.username));
    }
    case 'jwt':
      return openJwt(config, deps);
    case 'http':
      return openHttp(config, deps);
    case 'scram':
      return openScram(config, deps);
    case 'handler':
      if (deps.handler === undefined) {
        throw wrong(config, 'kind', 'the application has not called broker.authenticate()');
      }
      return plain(new HandlerProvider(deps.handler));
    default:
      return assertNever(config);
  }
}

async function openScram(
  config: Extract<ProviderConfig, { kind: 'scram' }>,
  { onError }: ProviderDeps,
): Promise<Made> {
  const { ScramMethod, ScramUsers } = await import('./providers/scram.js');
  const later = (error: unknown) => onError(atPlace(error, config, 'path'));
  const told = (error: unknown) => {
    throw atPlace(error, config, 'path');
  };
  const users = await ScramUsers.open(config.path, later).catch(told);
  const methods = new Map(
    config.methods.map((method) => [method, new ScramMethod(config.name, method, users)] as const),
  );
  const renew = () => users.renew().catch(told);
  return { provider: undefined, methods, tls: {}, renew, stop: () => users.stop() };
}

async function openJwt(config: JwtProvider, deps: ProviderDeps): Promise<Made> {
  const { JwtTokens } = await import('./providers/jwt.js');
  const tls = await tlsOf(config);
  const keys = await keySource(config, deps, tls);
  return { ...plain(new JwtTokens(config, keys), tls), renew: () => keys.renew() };
}

async function keySource(
  config: JwtProvider,
  deps: ProviderDeps,
  tls: ClientTls,
): Promise<KeySource> {
  const { fileKeys, fixedKeys, JwksKeys } = await import('./jwt/key-source.js');
  const { algorithms } = config;
  if (config.secret !== undefined) {
    const { requireKeys, secretKey } = await import('./jwt/keys.js');
    const keys = secretKey(config.secret);
    await requireKeys(keys, algorithms).catch((cause: unknown) => {
      throw wrong(config, 'secret', messageOf(cause), cause);
    });
    return fixedKeys(keys);
  }
  if (config.keyPath !== undefined) {
    const { keyPath } = config;
    const about = (cause: unknown) =>
      wrong(config, 'key_path', `${keyPath}: ${readFailure(cause)}`, cause);
    const onError = (cause: unknown) => deps.onError(about(cause));
    const told = (cause: unknown) => {
      throw about(cause);
    };
    const keys = await fileKeys(keyPath, algorithms, onError).catch(told);
    return {
      keysFor: (header) => keys.keysFor(header),
      renew: () => keys.renew().catch(told),
      stop: () => keys.stop(),
    };
  }
  if (config.jwksUrl === undefined) {
    throw wrong(config, 'secret', 'it has neither secret nor key_path nor jwks_url');
  }
  if (algorithms.some((name) => name.startsWith('HS'))) {
    throw wrong(
      config,
      'algorithms',
      'what a jwks_url publishes is no secret, so HS… cannot be used with it',
    );
  }
  const { HttpClient } = await import('./http/client.js');
  const options = {
    url: urlOf(config, 'jwks_url', config.jwksUrl, 'keys could be replaced on the way', deps),
    timeoutMs: config.jwksTimeoutMs,
    maxSockets: 1,
    maxBytes: kMaxJwksBytes,
    ...tls,
  };
  const client = new HttpClient(options);
  return new JwksKeys(client, {
    cacheS: config.jwksCacheS,
    cooldownS: config.jwksCooldownS,
    timeoutMs: config.jwksTimeoutMs,
    onError: (cause) => deps.onError(wrong(config, 'jwks_url', messageOf(cause), cause)),
  });
}

async function openHttp(config: HttpProvider, deps: ProviderDeps): Promise<Made> {
  const { HttpClient } = await import('./http/client.js');
  const { HttpServer } = await import('./providers/http.js');
  const url = urlOf(config, 'url', config.url, 'passwords go over the network in the clear', deps);
  const { timeoutMs, maxConcurrent } = config;
  const bounds = { timeoutMs, maxSockets: maxConcurrent, maxBytes: kMaxAnswerBytes };
  const tls = await tlsOf(config);
  const client = new HttpClient({ url, ...bounds, ...tls });
  return plain(new HttpServer(config, client), tls);
}

/** A token's key_path is no key of a connection. */
function tlsPaths(config: ProviderConfig): TlsPaths {
  if (config.kind === 'http') return config;
  if (config.kind === 'jwt' && config.jwksUrl !== undefined) return { caPath: config.caPath };
  return {};
}

/** Read, and seen to be what they should be: Node would take a CA file without a certificate. */
async function tlsOf(config: ProviderConfig): Promise<ClientTls> {
  const paths = tlsPaths(config);
  const { caPath, certPath, keyPath } = paths;
  if (caPath === undefined && certPath === undefined && keyPath === undefined) return {};
  const { readClientTls } = await import('./http/tls-files.js');
  return readClientTls(paths, (key, why, cause) => wrong(config, key, why, cause));
}

/** Shown without what may be a secret: what stands behind the host. */
function urlOf(
  config: ProviderConfig,
  key: 'url' | 'jwks_url',
  text: string,
  danger: string,
  deps: ProviderDeps,
): string {
  if (!URL.canParse(text)) throw wrong(config, key, 'its URL is none');
  const { protocol, hostname, origin, username, password } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw wrong(config, key, 'its URL is neither http:// nor https://');
  }
  if (username !== '' || password !== '') {
    throw wrong(config, key, 'its URL has a user or a password; use headers instead');
  }
  const isLocal = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
  if (protocol === 'http:' && !isLocal) {
    const place = placeOf(config, key) ?? config.where;
    deps.warn(`${place}: ${config.name} uses ${origin} without TLS: ${danger}`);
  }
  return text;
}

/** `key`: which of its keys is meant. */
function wrong(config: ProviderConfig, key: string, why: string, cause?: unknown): Error {
  const { where, name, kind } = config;
  const place = placeOf(config, key) ?? (where === '' ? 'auth.providers' : where);
  const options = cause === undefined ? {} : { cause };
  return fail('ST_AUTH_CONFIG', { where: place, why: `${kind} "${name}": ${why}` }, options);
}
