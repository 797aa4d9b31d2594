/** What an operator must see who has opened a broker to everybody. Pure. */
import { isIP } from 'node:net';
import type { BrokerConfig, ListenerConfig, TlsConfig } from '../config/broker-config.js';

type Parts = Pick<BrokerConfig, 'auth' | 'listeners'>;

/**
 * undefined = nothing to say. An address beyond loopback is open where nobody is asked who he is: no
 * user, provider or handler, and no client certificate that TLS asks for; a host name counts as beyond.
 */
export function openWarning(config: Parts, hasHandler: boolean): string | undefined {
  if (hasHandler) return undefined;
  const places = config.listeners.filter((one) => isOpen(one, config.auth)).flatMap(beyondLoopback);
  if (places.length === 0) return undefined;
  return (
    `ANYONE WHO REACHES ${places.join(', ')} MAY CONNECT, PUBLISH AND SUBSCRIBE: there is neither an ` +
    'auth table nor a provider. Add users ([auth.providers], or the auth table of the listener), ' +
    'listen on 127.0.0.1, or say allow_anonymous = true where it is meant'
  );
}

function isOpen(listener: ListenerConfig, auth: Parts['auth']): boolean {
  const { allowAnonymous, users, tls, name, validateTenantPrefix } = listener;
  // Whoever has written it down knows.
  if (allowAnonymous !== undefined || users.length > 0 || validateTenantPrefix) return false;
  if (tls?.verify === 'require') return false;
  return !(auth?.providers ?? []).some(
    ({ listeners }) => listeners.length === 0 || listeners.includes(name),
  );
}

function beyondLoopback({ listen, proxyProtocol, trustedProxies }: ListenerConfig): string[] {
  // Through a proxy on this machine everybody comes.
  const isProxied = proxyProtocol !== 'off' || trustedProxies.length > 0;
  return listen
    .filter(({ host }) => isProxied || !isLoopback(host))
    .map(({ host, port }) => (isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`));
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Whether TLS asks its clients for one. */
export function asksForCertificates(tls: TlsConfig | undefined): boolean {
  return tls !== undefined && tls.verify !== 'none';
}
