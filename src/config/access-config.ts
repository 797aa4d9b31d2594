/** Of the configuration that the broker runs with: what is about transport security and access. */
import type { ProviderKind } from './auth-options.js';
import type { TenantSource } from './identity-options.js';

/** Paths are absolute; '' = not configured. */
export interface TlsConfig {
  readonly certpath: string;
  readonly keypath: string;
  readonly keypass: string;
  readonly pkcs12path: string;
  readonly pkcs12pass: string;
  readonly capath: string;
  readonly crlpath: string;
  readonly verify: 'none' | 'optional' | 'require';
  readonly identity: 'none' | 'cn' | 'dn' | 'san';
  readonly minVersion: '1.2' | '1.3';
  /** Of TLS 1.2, and of 1.3; '' = the default ones. */
  readonly ciphers: string;
  readonly ciphersuites: string;
  readonly alpn: readonly string[];
  readonly sni: readonly SniConfig[];
}

export interface SniConfig {
  readonly name: string;
  readonly certpath: string;
  readonly keypath: string;
  readonly keypass: string;
}

export interface WebSocketConfig {
  /** '' = any. */
  readonly path: string;
  /** Empty = any. */
  readonly allowedOrigins: readonly string[];
}

export type ProxyProtocol = 'off' | 'v1' | 'v2' | 'any';
export type ClientRole = 'device' | 'service';

export interface StaticUser {
  readonly name: string;
  readonly password: string;
}

interface AnyProvider<K extends ProviderKind> {
  readonly kind: K;
  readonly name: string;
  /** Names of listeners; empty = all. */
  readonly listeners: readonly string[];
  /** Its place in the configuration, for messages. */
  readonly where: string;
}
export interface StaticProvider extends AnyProvider<'static'> {
  readonly users: readonly StaticUser[];
}
export interface PasswordFileProvider extends AnyProvider<'password_file'> {
  readonly path: string;
  readonly cacheTtlS: number;
  readonly cacheMax: number;
  readonly maxConcurrent: number;
}
export interface CertificateProvider extends AnyProvider<'certificate'> {
  readonly username: 'cn' | 'dn' | 'san';
}
/** Exactly one of secret, keyPath and jwksUrl is there; a claim of '' is none. */
export interface JwtProvider extends AnyProvider<'jwt'> {
  readonly algorithms: readonly string[];
  readonly secret: string | undefined;
  readonly keyPath: string | undefined;
  readonly jwksUrl: string | undefined;
  readonly jwksCacheS: number;
  readonly jwksCooldownS: number;
  readonly jwksTimeoutMs: number;
  readonly caPath: string | undefined;
  /** Empty = any, as with audiences. */
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  readonly leewayS: number;
  readonly requireExpiry: boolean;
  readonly token: 'password' | 'username';
  readonly usernameClaim: string;
  /** Must be the Client Identifier. */
  readonly clientIdClaim: string;
  readonly groupsClaim: string;
  readonly aclClaim: string;
  readonly tenantClaim: string;
  readonly deviceIdClaim: string;
  readonly roleClaim: string;
}
export interface HttpProvider extends AnyProvider<'http'> {
  readonly url: string;
  readonly format: 'json' | 'form';
  readonly headers: Readonly<Record<string, string>>;
  /** What is asked, by name; empty = all that is known, by the names of docs/AUTHENTICATION.md. */
  readonly fields: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly cacheTtlS: number;
  /** Of denials, and of those that are left to the next. */
  readonly negativeTtlS: number;
  readonly cacheMax: number;
  readonly maxConcurrent: number;
  readonly maxQueue: number;
  readonly caPath: string | undefined;
  readonly certPath: string | undefined;
  readonly keyPath: string | undefined;
}
export interface ScramProvider extends AnyProvider<'scram'> {
  readonly path: string;
  readonly methods: readonly ('SCRAM-SHA-256' | 'SCRAM-SHA-512')[];
}
/** The place of broker.authenticate() in the chain. */
export type HandlerProvider = AnyProvider<'handler'>;
export type ProviderConfig =
  | StaticProvider
  | PasswordFileProvider
  | CertificateProvider
  | JwtProvider
  | HttpProvider
  | ScramProvider
  | HandlerProvider;

export interface AuthConfig {
  /** In the order in which they are asked. */
  readonly providers: readonly ProviderConfig[];
  readonly failedLogins: FailedLoginsConfig;
}
export interface FailedLoginsConfig {
  /** 0 = any number. */
  readonly perAddress: number;
  readonly windowS: number;
  /** 0 = only counted. */
  readonly banS: number;
  readonly delayMs: number;
}

/** An empty list asks for nothing; all that is given must fit. */
export interface AclRule {
  readonly effect: 'allow' | 'deny';
  readonly actions: 'publish' | 'subscribe' | 'all';
  readonly filters: readonly string[];
  readonly users: readonly string[];
  readonly clients: readonly string[];
  readonly groups: readonly string[];
  readonly certificates: readonly string[];
  readonly addresses: readonly string[];
  readonly listeners: readonly string[];
  readonly anonymous: boolean | undefined;
  readonly role: ClientRole | undefined;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean | undefined;
  /** What logs call it; '' = by its number. */
  readonly name: string;
}
export interface AclConfig {
  readonly rules: readonly AclRule[];
  /** mosquitto's format; read at start, at a reload and by check. */
  readonly files: readonly string[];
  readonly default: 'allow' | 'deny';
  readonly v3Denied: 'drop' | 'disconnect';
  readonly narrow: boolean;
}

/** 0 = no bound. */
export interface LimitsConfig {
  readonly acceptsPerTurn: number;
  readonly maxConnectionsPerTenant: number;
  readonly messagesPerSPerTenant: number;
  readonly bytesPerSPerTenant: number;
  readonly flapping: {
    readonly count: number;
    readonly windowS: number;
    readonly banS: number;
  };
}

export interface TenantsConfig {
  readonly mode: 'off' | 'enforced' | 'transparent';
  readonly from: readonly TenantSource[];
}

export interface DeviceConfig {
  /** undefined = the verdict's, else the user name where authentication applies, else the Client Identifier. */
  readonly deviceIdFrom: 'verdict' | 'username' | 'cert_cn' | 'client_id' | undefined;
  readonly meTopics: 'scoped' | 'shared' | 'off';
  /** Topic Filters of what may stand behind `v1/devices/me/`. */
  readonly mePatterns: readonly string[];
  /** Devices whose state is known; those that are online in any case. */
  readonly maxKnown: number;
  /** Device ids, with `*`, of those that may speak for others. */
  readonly gateways: readonly string[];
  readonly dynamicReplay: 'tail' | 'backlog';
  readonly maxDynamicFilters: number;
  readonly maxDynamicBytes: number;
}
