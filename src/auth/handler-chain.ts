/** The chain of a broker whose clients are judged by the application alone. */
import { AuthChain } from './chain.js';
import { HandlerProvider } from './providers/handler.js';
import type { AuthHandler } from './verdict.js';

export function handlerChain(
  listeners: readonly { readonly name: string }[],
  timeoutMs: number,
  handler: AuthHandler,
): AuthChain {
  const provider = new HandlerProvider(handler);
  const at = {
    providers: [provider],
    methods: new Map(),
    allowAnonymous: false,
    isGuarded: true,
    requireTenantCertificate: false,
    tenant: undefined,
  };
  return new AuthChain({
    listeners: new Map(listeners.map(({ name }) => [name, at])),
    providers: [provider],
    tenants: { isOn: false, from: [] },
    deviceIdFrom: undefined,
    failedLogins: { perAddress: 0, windowS: 60, banS: 0, delayMs: 0 },
    timeoutMs,
    hasHandler: true,
  });
}
