/** The chain that a configuration asks for: which providers judge the clients of which listener. */
import type { BrokerConfig, ListenerConfig, ProviderConfig } from '../config/broker-config.js';
import { placeOf } from '../config/places.js';
import { fail } from '../errors.js';
import { AuthChain, type ListenerAuth } from './chain.js';
import type { AuthMethodHandler, EnhancedMethod } from './enhanced.js';
import { openProviders, type ProviderDeps } from './open-providers.js';
import { asksForCertificates } from './open-warning.js';
import type { Opened } from './opened.js';
import type { AuthProvider } from './provider.js';
import { HandlerMethod, HandlerProvider } from './providers/handler.js';

export interface BuildDeps extends ProviderDeps {
  /** broker.authenticateWith(), by the method's name. */
  readonly methods: ReadonlyMap<string, AuthMethodHandler>;
  /** What tables of the configuration in force have made: those that are the same keep it. */
  readonly before?: readonly Opened[];
}

type AuthParts = Pick<BrokerConfig, 'auth' | 'tenants' | 'device' | 'listeners' | 'broker'>;

const kNoLimit = { perAddress: 0, windowS: 60, banS: 0, delayMs: 0 };

/** Rejects with ST_AUTH_…, and leaves nothing open then. Asks nobody over the network. */
export async function buildAuth(config: AuthParts, deps: BuildDeps): Promise<AuthChain> {
  const configs = config.auth?.providers ?? [];
  requireUnique(config, configs);
  const opened = await openProviders(configs, deps, deps.before ?? []);
  const own = new Map<string, EnhancedMethod>(
    [...deps.methods].map(([name, handler]) => [name, new HandlerMethod(handler)]),
  );
  const listeners = new Map<string, ListenerAuth>();
  const all: AuthProvider[] = [];
  for (const listener of config.listeners) {
    const there = opened.filter(({ config: { listeners: names } }) => {
      return names.length === 0 || names.includes(listener.name);
    });
    const first = await ownProviders(listener, configs, deps);
    const providers = [...first, ...there.flatMap(({ provider }) => provider ?? [])];
    const methods = new Map([...there.flatMap(({ methods }) => [...methods]), ...own]);
    all.push(...first);
    const isGuarded = providers.length > 0 || methods.size > 0;
    listeners.set(listener.name, {
      providers,
      methods,
      isGuarded,
      allowAnonymous: listener.allowAnonymous ?? !isGuarded,
      requireTenantCertificate: listener.validateTenantPrefix,
      tenant: listener.tenant === '' ? undefined : listener.tenant,
      // Of several with one name, one is enough.
      readsCertificates:
        asksForCertificates(listener.tls) ||
        listeners.get(listener.name)?.readsCertificates === true,
    });
  }
  return new AuthChain({
    listeners,
    providers: [...all, ...opened],
    opened,
    tenants: { isOn: config.tenants.mode !== 'off', from: config.tenants.from },
    deviceIdFrom: config.device.deviceIdFrom,
    failedLogins: config.auth?.failedLogins ?? kNoLimit,
    timeoutMs: config.broker.verdict_timeout_ms,
  });
}

/** Rejects where a start of the program with this configuration would, as far as this folder goes. */
export async function checkAuth(config: AuthParts): Promise<void> {
  const say = () => undefined;
  const deps = { handler: undefined, methods: new Map(), onError: say, warn: say };
  (await buildAuth(config, deps)).stop();
}

/**
 * Before those of auth.providers: who the certificate names, then the application's handler where no
 * table places it, else the listener's own users. Without tables the handler replaces these users.
 */
async function ownProviders(
  listener: ListenerConfig,
  configs: readonly ProviderConfig[],
  { handler }: ProviderDeps,
): Promise<AuthProvider[]> {
  const own: AuthProvider[] = [];
  const identity = listener.tls?.identity ?? 'none';
  if (identity !== 'none') {
    const { CertificateIdentity } = await import('./providers/certificate-identity.js');
    own.push(new CertificateIdentity(`certificate of ${listener.name}`, identity));
  }
  const isPlaced = configs.some(({ kind }) => kind === 'handler');
  if (handler !== undefined && !isPlaced) own.push(new HandlerProvider(handler));
  if (listener.users.length > 0 && (handler === undefined || configs.length > 0)) {
    const { StaticUsers } = await import('./providers/static-users.js');
    own.push(new StaticUsers(`users of ${listener.name}`, listener.users));
  }
  return own;
}

/** Names are what the log and the metrics tell them apart by, and what a client's listener is. */
function requireUnique({ listeners }: AuthParts, configs: readonly ProviderConfig[]): void {
  const names = new Set<string>();
  for (const config of configs) {
    const { name, where } = config;
    const why = `another provider is called ${JSON.stringify(name)} too`;
    if (names.has(name)) {
      const place = placeOf(config, 'name') ?? (where || 'auth.providers');
      throw fail('ST_AUTH_CONFIG', { where: place, why });
    }
    names.add(name);
  }
  const listenerNames = new Map<string, ListenerConfig>();
  for (const listener of listeners) {
    const other = listenerNames.get(listener.name);
    if (other !== undefined && accessOf(other) !== accessOf(listener)) {
      const why = `listener ${other.table} has the same name and other rules of access`;
      throw fail('ST_AUTH_CONFIG', {
        where: placeOf(listener, 'name') ?? `listener ${listener.table}`,
        why,
      });
    }
    listenerNames.set(listener.name, listener);
  }
}

function accessOf({ users, allowAnonymous, validateTenantPrefix, tenant, tls }: ListenerConfig) {
  return JSON.stringify([users, allowAnonymous, validateTenantPrefix, tenant, tls?.identity]);
}
