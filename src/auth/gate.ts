/**
 * Authentication of one run of the broker. Where nobody asks for it nothing of it is loaded, and
 * CONNECTs do not come to TypeScript; a reload may turn it on, change it and turn it off.
 */
import type { BrokerConfig } from '../config/broker-config.js';
import type { LogRecord } from '../log/logger.js';
import type { NativeAdmission } from '../native/addon.js';
import type { VerdictCommand } from '../native/commands.js';
import type { AuthRequestEvent, ConnectRequestEvent } from '../native/events.js';
import type { Authenticator } from './authenticator.js';
import type { AuthChain } from './chain.js';
import { type AuthCounts, noAuthCounts } from './counts.js';
import type { AuthMethodHandler } from './enhanced.js';
import { openAdmission } from './open-admission.js';
import { asksForCertificates, openWarning } from './open-warning.js';
import type { AuthHandler } from './verdict.js';

export type AuthParts = Pick<BrokerConfig, 'auth' | 'tenants' | 'device' | 'listeners' | 'broker'>;

export interface GateDeps {
  readonly handler: AuthHandler | undefined;
  readonly methods: ReadonlyMap<string, AuthMethodHandler>;
  readonly write: (record: LogRecord) => void;
  readonly onError: (error: unknown) => void;
}

/** The native half, when it is there. */
export interface GateOutlets {
  readonly answer: (verdict: VerdictCommand) => void;
  readonly ban: (network: string, seconds: number) => void;
}

/** A configuration that can take effect without failing. */
export interface PreparedAuth {
  /** Whether CONNECTs of any listener must come to TypeScript from then on. */
  readonly isNeeded: boolean;
  /** Whether those of this one must. */
  admission(listener: string): NativeAdmission;
  commit(): void;
  /** It does not take effect after all. */
  discard(): void;
}

/** CONNACK's Server unavailable. */
const kUnavailable = 0x88;

export class AuthGate {
  readonly #deps: GateDeps;
  #outlets: GateOutlets | undefined;
  #authenticator: Authenticator | undefined;
  #chain: AuthChain | undefined;
  /** Of every listener where there is no chain. */
  #open: NativeAdmission = 'open';
  /** While a reload changes who judges. */
  #held: { readonly event: ConnectRequestEvent; readonly listener: string }[] | undefined;

  constructor(deps: GateDeps) {
    this.#deps = deps;
  }

  /** Whether the application judges clients, on every listener. */
  get hasHandler(): boolean {
    return this.#deps.handler !== undefined;
  }

  /** Whether CONNECTs of any listener must come to TypeScript. */
  get isNeeded(): boolean {
    return this.#chain?.needed === true;
  }

  /** Whether those of this one must. */
  admission(listener: string): NativeAdmission {
    return this.#chain?.admission(listener) ?? this.#open;
  }

  counts(): AuthCounts {
    return this.#authenticator?.counts() ?? noAuthCounts;
  }

  connect(outlets: GateOutlets): void {
    this.#outlets = outlets;
  }

  /** Rejects with ST_AUTH_…: then nothing has changed. */
  async prepare(config: AuthParts): Promise<PreparedAuth> {
    const { handler, methods, onError, write } = this.#deps;
    const warn = (text: string) => write({ level: 'warn', module: 'auth', text, fields: {} });
    const isOpen = openWarning(config, handler !== undefined || methods.size > 0);
    let chain: AuthChain | undefined;
    let Class: typeof Authenticator | undefined;
    if (handler !== undefined || methods.size > 0 || asksForAuth(config)) {
      const [{ buildAuth }, loaded] = await Promise.all([
        import('./build.js'),
        import('./authenticator.js'),
      ]);
      const before = this.#chain?.options.opened ?? [];
      chain = await buildAuth(config, { handler, methods, onError, warn, before });
      Class = loaded.Authenticator;
    }
    const open = openAdmission(config.device.deviceIdFrom);
    return {
      isNeeded: chain?.needed === true,
      admission: (listener) => chain?.admission(listener) ?? open,
      commit: () => {
        if (isOpen !== undefined) warn(isOpen);
        this.#open = open;
        this.#take(chain, Class);
      },
      discard: () => chain?.stop(),
    };
  }

  /** CONNECTs come already, and wait for commit() or for release(). */
  hold(): void {
    this.#held ??= [];
  }

  /** Nothing has changed after all. Where nobody judges, who has waited may come again. */
  release(): void {
    const held = this.#held?.splice(0) ?? [];
    this.#held = undefined;
    for (const { event, listener } of held) {
      const { connectionId } = event;
      if (this.isNeeded) this.judge(event, listener);
      else this.#outlets?.answer({ connectionId, reasonCode: kUnavailable });
    }
  }

  judge(event: ConnectRequestEvent, listener: string): void {
    if (this.#held !== undefined) this.#held.push({ event, listener });
    else void this.#authenticator?.judge(event, listener);
  }

  handleAuth(event: AuthRequestEvent, listener: string): void {
    void this.#authenticator?.handleAuth(event, listener);
  }

  end(): void {
    this.#authenticator?.end();
    this.#authenticator = undefined;
    this.#chain = undefined;
  }

  #take(chain: AuthChain | undefined, Class: typeof Authenticator | undefined): void {
    this.#replace(chain, Class);
    const held = this.#held?.splice(0) ?? [];
    this.#held = undefined;
    for (const { event, listener } of held) this.judge(event, listener);
  }

  #replace(chain: AuthChain | undefined, Class: typeof Authenticator | undefined): void {
    this.#chain = chain;
    if (chain === undefined || Class === undefined) {
      // Turned off: who has been asked about by then is still answered, by the old chain.
      this.#authenticator?.retire();
      return;
    }
    if (this.#authenticator !== undefined) {
      this.#authenticator.replace(chain);
      return;
    }
    this.#authenticator = new Class({
      chain,
      answer: (verdict) => this.#outlets?.answer(verdict),
      ban: (network, seconds) => this.#outlets?.ban(network, seconds),
      onError: this.#deps.onError,
      write: this.#deps.write,
    });
  }
}

function asksForAuth({ auth, tenants, listeners }: AuthParts): boolean {
  if ((auth?.providers.length ?? 0) > 0 || tenants.mode !== 'off') return true;
  return listeners.some(
    ({ users, allowAnonymous, validateTenantPrefix, tls }) =>
      users.length > 0 ||
      allowAnonymous === false ||
      validateTenantPrefix ||
      asksForCertificates(tls),
  );
}
