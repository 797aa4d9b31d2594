/**
 * What a configuration allows that its writer may not have meant: for `check`, which says it and
 * accepts the file. Nothing here keeps a broker from starting.
 */
import { statSync } from 'node:fs';
import type { BrokerConfig, ListenerConfig, ProviderConfig, TlsConfig } from './broker-config.js';
import type { Resolution } from './resolve.js';

export function adviceOn(resolution: Resolution): readonly string[] {
  const { config } = resolution;
  const at = (table: string, key: string) =>
    resolution.effective.find((entry) => entry.table === table && entry.key === key)?.origin ??
    table;
  return [
    ...config.listeners.flatMap((listener) => onListener(listener, config, at)),
    ...onProviders(config),
    ...onIdentity(config, at),
    ...onDevices(resolution, at),
    ...onRules(config, at),
    ...filesOf(config).flatMap(onFile),
  ];
}

type Place = (table: string, key: string) => string;

function onListener(listener: ListenerConfig, config: BrokerConfig, at: Place): readonly string[] {
  const { table, tls } = listener;
  const advice: string[] = [];
  const carries = passwordsOf(listener, config);
  const beyond = listener.listen.filter(({ host }) => !isLoopback(host));
  const isPlain = tls === undefined && listener.proxyProtocol === 'off';
  if (carries !== undefined && isPlain && beyond.length > 0) {
    advice.push(
      `${at(table, 'listen')}: passwords (${carries}) come to listener "${listener.name}" unencrypted; give it a tls table`,
    );
  }
  if (tls !== undefined && tls.verify === 'none' && tls.capath !== '') {
    const where = at(`${table}.tls`, 'verify_client_cert');
    advice.push(
      `${where}: verify_client_cert = "none" with capath: client certificates are not asked for`,
    );
  }
  return advice;
}

/** Who takes passwords there. */
function passwordsOf(listener: ListenerConfig, { auth }: BrokerConfig): string | undefined {
  if (listener.users.length > 0) return 'the auth table';
  return auth?.providers.find(
    ({ kind, listeners }) =>
      kind !== 'certificate' &&
      // A SCRAM exchange shows the password to nobody.
      kind !== 'scram' &&
      (listeners.length === 0 || listeners.includes(listener.name)),
  )?.name;
}

function onProviders({ auth }: BrokerConfig): readonly string[] {
  return (auth?.providers ?? []).flatMap((provider) => {
    const url = provider.kind === 'http' ? provider.url : urlOfKeys(provider);
    if (url === undefined || !url.startsWith('http://')) return [];
    const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
    if (isLoopback(host)) return [];
    const what = provider.kind === 'http' ? 'passwords go' : 'keys that are trusted come';
    return [`${provider.where}: ${what} over the network unencrypted; use https:// in its URL`];
  });
}

const urlOfKeys = (provider: ProviderConfig) =>
  provider.kind === 'jwt' ? provider.jwksUrl : undefined;

function onIdentity(config: BrokerConfig, at: Place): readonly string[] {
  if (config.device.deviceIdFrom !== 'client_id') return [];
  const providers = config.auth?.providers ?? [];
  const isBound =
    providers.length > 0 &&
    config.listeners.every(({ users }) => users.length === 0) &&
    providers.every((provider) => provider.kind === 'jwt' && provider.clientIdClaim !== '');
  if (isBound) return [];
  return [
    `${at('device', 'device_id_from')}: device_id_from = "client_id", and nothing binds the Client Identifier to the credential: whoever may connect is any device that he says`,
  ];
}

function onDevices({ config, effective }: Resolution, at: Place): readonly string[] {
  const { deviceIdFrom, meTopics } = config.device;
  if (meTopics !== 'scoped') return [];
  const advice: string[] = [];
  const isWritten = effective.some(
    ({ table, key, origin }) => table === 'device' && key === 'me_topics' && origin !== undefined,
  );
  // Tables that only ST-RMQTT's files have.
  const isStRmqtt = config.listeners.some(({ table }) => /^v[45]\./.test(table));
  if (isStRmqtt && !isWritten) {
    advice.push(
      'device: me_topics = "scoped" is the default: v1/devices/me/… are each device’s own, and only services get at those of others. ST-RMQTT leaves these topics as they are; me_topics = "shared" in [device] restores that',
    );
  }
  const isGuarded = config.listeners.some((listener) => listener.isGuarded);
  for (const listener of config.listeners) {
    const isClaimed = deviceIdFrom === undefined && isGuarded && !listener.isGuarded;
    if (!isClaimed || listener.role !== undefined || !reaches(listener)) continue;
    advice.push(
      `${at(listener.table, 'listen')}: nobody is asked on listener "${listener.name}": its clients are the devices that their Client Identifiers name, those of other listeners too; set device_id_from in [device], or its role`,
    );
  }
  return advice;
}

/** From beyond this machine, where a client without authentication is no service. */
const reaches = ({ listen }: ListenerConfig) => listen.some(({ host }) => !isLoopback(host));

function onRules({ acl }: BrokerConfig, at: Place): readonly string[] {
  if (acl === undefined) return [];
  const advice: string[] = [];
  if (acl.narrow) {
    advice.push(
      `${at('acl', 'narrow')}: narrow = true: a subscription that is wider than the rules is accepted, and its client is not told that it gets less`,
    );
  }
  const denies = acl.rules.some(({ effect }) => effect === 'deny');
  if (acl.default === 'allow' && acl.rules.length > 0 && !denies && acl.files.length === 0) {
    advice.push(
      `${at('acl', 'default')}: default = "allow" and rules that only allow: nothing is denied`,
    );
  }
  return advice;
}

/** Those that hold a secret. */
function filesOf({ auth, listeners }: BrokerConfig): readonly string[] {
  const ofTls = ({ keypath, pkcs12path, sni }: TlsConfig) => [
    keypath,
    pkcs12path,
    ...sni.map((one) => one.keypath),
  ];
  const ofProvider = (provider: ProviderConfig): readonly (string | undefined)[] => {
    switch (provider.kind) {
      case 'password_file':
      case 'scram':
        return [provider.path];
      case 'http':
        return [provider.keyPath];
      default:
        return [];
    }
  };
  const files = [
    ...listeners.flatMap(({ tls }) => (tls === undefined ? [] : ofTls(tls))),
    ...(auth?.providers ?? []).flatMap(ofProvider),
  ];
  return [...new Set(files.filter((file) => file !== undefined && file !== ''))] as string[];
}

/** Kubernetes mounts secrets that all may read: that is said, and no reason to refuse. */
function onFile(file: string): readonly string[] {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & 0o007) === 0) return [];
  const others = (mode & 0o002) === 0 ? 'read' : 'change';
  return [`${file}: any user of this machine may ${others} it; chmod 0640 or less`];
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}
