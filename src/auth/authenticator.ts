/** Asks the chain of a client's listener whether it may connect, and answers the native half. */
import { fail, messageOf, type StMqttdError } from '../errors.js';
import type { LogRecord } from '../log/logger.js';
import { isMqttText, type VerdictCommand } from '../native/commands.js';
import type { AuthRequestEvent, ConnectRequestEvent } from '../native/events.js';
import type { NativeRule } from '../native/rules.js';
import { Budget } from './budget.js';
import { type AuthChain, anonymous, type ListenerAuth, ProviderFailed } from './chain.js';
import { Context } from './context.js';
import { type AuthCounts, noRefusals, type RefusalCause } from './counts.js';
import { deviceIdOf } from './device-id.js';
import { type EnhancedMethod, type ExchangeStart, Exchanges } from './enhanced.js';
import { FailedLogins, networkOf } from './failed-logins.js';
import { type Decision, type Denial, deny } from './provider.js';
import { kHandlerName } from './providers/handler.js';
import { certificateTenant, isFitTenant, tenantOf } from './tenant.js';
import { type Accept, kNotAuthorized, UnfitVerdict } from './verdict.js';
import { readRules } from './verdict-rules.js';

const kContinue = 0x18;
/** Refusals that wait for auth.failed_logins.delay_ms at once; those beyond are answered at once. */
const kMaxDelayed = 4096;
/** Failures in the log: a server that is down fails for a whole fleet. */
const kFailuresPerSecond = 20;
/** What somebody did who guesses: counts against his address. */
const guesses: ReadonlySet<RefusalCause> = new Set([
  'bad_credentials',
  'expired',
  'not_authorized',
]);

export interface AuthenticatorDeps {
  readonly chain: AuthChain;
  readonly answer: (verdict: VerdictCommand) => void;
  /** Refuses an address ("192.0.2.7", "2001:db8::/64") from now on, before it can say anything. */
  readonly ban: (network: string, seconds: number) => void;
  readonly onError: (error: Error) => void;
  readonly write: (record: LogRecord) => void;
}

interface Waiting {
  readonly network: string | undefined;
  abort(reason: Error): void;
}

/** The address has failed too often while this one waited. */
class AddressLimited extends Error {}

export class Authenticator {
  readonly #deps: AuthenticatorDeps;
  #chain: AuthChain;
  readonly #failed: FailedLogins;
  readonly #exchanges: Exchanges;
  /** Whoever is being judged: aborted at the end. */
  readonly #waiting = new Set<Waiting>();
  /** Replaced by a reload; still asked by who came before it. */
  readonly #retired = new Map<AuthChain, NodeJS.Timeout>();
  readonly #delayed = new Set<NodeJS.Timeout>();
  readonly #refused = noRefusals();
  readonly #failures: Budget;
  #accepted = 0;
  #anonymous = 0;
  #addressesLimited = 0;
  #deviceIdsUnfit = 0;

  constructor(deps: AuthenticatorDeps) {
    this.#deps = deps;
    this.#chain = deps.chain;
    this.#failed = new FailedLogins(deps.chain.options.failedLogins);
    this.#failures = new Budget(kFailuresPerSecond, (count) => {
      const text = `${count} more clients could not be judged; what came before says why`;
      deps.write({ level: 'error', module: 'auth', text, fields: { count } });
    });
    this.#exchanges = new Exchanges((connectionId, authData) =>
      deps.answer({ connectionId, reasonCode: kContinue, authData }),
    );
  }

  counts(): AuthCounts {
    return {
      accepted: this.#accepted,
      anonymous: this.#anonymous,
      refused: { ...this.#refused },
      addressesLimited: this.#addressesLimited,
      deviceIdsUnfit: this.#deviceIdsUnfit,
    };
  }

  /** For who comes from now on. The old one goes on until its last verdict is due. */
  replace(chain: AuthChain): void {
    this.retire();
    this.#chain = chain;
    this.#failed.limits = chain.options.failedLogins;
  }

  /** Nobody comes any more; what the chain holds is given back when the last verdict was due. */
  retire(): void {
    const chain = this.#chain;
    clearTimeout(this.#retired.get(chain));
    const stop = () => {
      this.#retired.delete(chain);
      chain.stop();
    };
    this.#retired.set(chain, setTimeout(stop, chain.options.timeoutMs).unref());
  }

  /** Never rejects, never throws. */
  async judge(event: ConnectRequestEvent, listener: string): Promise<void> {
    const chain = this.#chain;
    const network =
      chain.options.failedLogins.perAddress > 0 ? networkOf(event.address) : undefined;
    const context = new Context(event, listener, chain.options.timeoutMs);
    let decision: Decision;
    if (this.#failed.isLimited(network, performance.now())) {
      decision = deny('address_limit');
    } else {
      const waiting = { network, abort: (reason: Error) => context.abort(reason) };
      this.#waiting.add(waiting);
      try {
        decision = await this.#decide(chain, context, event.connectionId);
      } catch (cause) {
        decision = this.#failure(cause, event.clientId);
      } finally {
        this.#waiting.delete(waiting);
        context.settle();
      }
    }
    let command: VerdictCommand | { readonly refusal: Denial };
    try {
      command = this.#command(event.connectionId, context, decision, chain);
    } catch (cause) {
      command = { refusal: this.#failure(cause, event.clientId) };
    }
    if ('refusal' in command) this.#refuse(command.refusal, event.connectionId, context, network);
    // A late one is dropped there, and counted (verdicts_stale).
    else this.#deps.answer(command);
  }

  /** An AUTH packet: the answer to a challenge, or the start of a re-authentication. Never throws. */
  async handleAuth(event: AuthRequestEvent, listener: string): Promise<void> {
    const { connectionId } = event;
    if (this.#exchanges.answer(connectionId, event.authData)) return;
    const chain = this.#chain;
    const at = chain.listener(listener);
    const method = event.again ? at?.methods.get(event.authMethod) : undefined;
    if (method === undefined || at === undefined) {
      // Its exchange is over, or a reload has removed the method.
      this.#deps.answer({ connectionId, reasonCode: kNotAuthorized });
      return;
    }
    const network =
      chain.options.failedLogins.perAddress > 0 ? networkOf(event.address) : undefined;
    const decision = await this.#again(method, event, network);
    if (decision.kind !== 'allow') {
      const denial = decision.kind === 'deny' ? decision : deny('not_authorized');
      const who = { clientId: event.clientId, address: event.address, listener };
      this.#refuse(denial, connectionId, who, network);
      return;
    }
    this.#accepted++;
    this.#deps.answer(renewal(connectionId, decision.accept, chain, at));
  }

  /** Another user's proof is a guess like any other, and is not told whether it was right. */
  async #again(
    method: EnhancedMethod,
    { connectionId, authMethod, authData, username, clientId }: AuthRequestEvent,
    network: string | undefined,
  ): Promise<Decision> {
    if (this.#failed.isLimited(network, performance.now())) return deny('address_limit');
    const controller = new AbortController();
    const waiting = { network, abort: (reason: Error) => controller.abort(reason) };
    const late = new Error('the time for a verdict is over (broker.verdict_timeout_ms)');
    const timer = setTimeout(() => controller.abort(late), this.#chain.options.timeoutMs).unref();
    this.#waiting.add(waiting);
    try {
      const decision = await this.#exchange(method, {
        connectionId,
        method: authMethod,
        data: authData,
        client: undefined,
        signal: controller.signal,
      });
      const { username: proven = username } = decision.kind === 'allow' ? decision.accept : {};
      return proven === username ? decision : deny('not_authorized');
    } catch (cause) {
      return this.#failure(cause, clientId);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(waiting);
    }
  }

  /** The broker stops: nobody waits for verdicts any more. */
  end(): void {
    const reason = new Error('the broker stops');
    for (const context of this.#waiting) context.abort(reason);
    this.#waiting.clear();
    this.#failures.end();
    for (const timer of this.#delayed) clearTimeout(timer);
    this.#delayed.clear();
    for (const [chain, timer] of this.#retired) {
      clearTimeout(timer);
      chain.stop();
    }
    this.#retired.clear();
    this.#chain.stop();
  }

  #decide(chain: AuthChain, context: Context, connectionId: bigint): Decision | Promise<Decision> {
    const { authMethod, authData = Buffer.alloc(0) } = context;
    if (authMethod === undefined) return chain.judge(context);
    const method = chain.listener(context.listener)?.methods.get(authMethod);
    if (method === undefined) return deny('bad_method');
    return this.#exchange(method, {
      connectionId,
      method: authMethod,
      data: authData,
      client: context,
      signal: context.signal,
    });
  }

  async #exchange(method: EnhancedMethod, start: ExchangeStart): Promise<Decision> {
    try {
      return await this.#exchanges.run(method, start);
    } catch (cause) {
      throw new ProviderFailed(method.name, cause);
    }
  }

  #failure(thrown: unknown, clientId: string): Denial {
    const provider = thrown instanceof ProviderFailed ? thrown.provider : '';
    const cause = thrown instanceof ProviderFailed ? thrown.cause : thrown;
    if (cause instanceof AddressLimited) return deny('address_limit');
    if (this.#failures.mayTell(performance.now())) {
      this.#deps.onError(failureOf(provider, clientId, cause));
    }
    return deny('unavailable');
  }

  #command(
    connectionId: bigint,
    context: Context,
    decision: Decision,
    chain: AuthChain,
  ): VerdictCommand | { readonly refusal: Denial } {
    const at = chain.listener(context.listener);
    if (decision.kind === 'deny') return { refusal: decision };
    if (decision.kind === 'ignore' || at === undefined) return { refusal: deny('unavailable') };
    const { accept } = decision;
    const certificateName = context.certificate?.cn;
    if (certificateName !== undefined && !isMqttText(certificateName)) {
      // Cut, it would be another's.
      return { refusal: deny('not_authorized', "the certificate's name is too long or has a NUL") };
    }
    const isAnonymous = decision === anonymous;
    const username = isAnonymous ? undefined : (accept.username ?? context.username);
    const tenant = tenantFor(chain, at, context, accept.tenant, username);
    if (tenant.why !== undefined) return { refusal: deny('not_authorized', tenant.why) };
    const device = deviceIdOf({
      from: chain.options.deviceIdFrom,
      verdict: accept.deviceId,
      username,
      isAuthenticated: at.isGuarded,
      context,
      clientId: accept.clientId ?? context.clientId,
    });
    if (device.kind === 'unfit') this.#deviceIdsUnfit++;
    this.#accepted++;
    if (isAnonymous) this.#anonymous++;
    return {
      connectionId,
      reasonCode: 0,
      maxSessionExpiry: accept.maxSessionExpiry,
      serverKeepAlive: accept.serverKeepAlive,
      maxQos: accept.maxQos,
      refuseWill: accept.allowWill === false,
      clientId: accept.clientId,
      username: accept.username,
      anonymous: isAnonymous,
      expiresIn: accept.expiresIn,
      role: accept.role,
      tenant: tenant.tenant,
      deviceId: device.kind === 'device' ? device.id : undefined,
      groups: accept.groups,
      certificateName,
      rules: rulesOf(accept),
      authData: accept.authData,
      limits: accept.limits,
    };
  }

  #refuse(
    { cause, refuse }: Denial,
    connectionId: bigint,
    { clientId, address, listener }: Pick<Context, 'clientId' | 'address' | 'listener'>,
    network: string | undefined,
  ): void {
    this.#count(cause);
    const fields = { clientId, address, listener, cause };
    this.#deps.write({ level: 'info', module: 'auth', text: 'login refused', fields });
    const { reasonCode = kNotAuthorized, reason } = refuse;
    const answer = () => this.#deps.answer({ connectionId, reasonCode, reasonText: reason });
    const delayMs = guesses.has(cause) ? this.#guessed(address, network) : 0;
    if (delayMs > 0 && this.#delayed.size < kMaxDelayed) this.#later(answer, delayMs);
    else answer();
  }

  /** Returns how long the answer is to wait. */
  #guessed(address: string, network: string | undefined): number {
    const { banS, delayMs } = this.#failed.limits;
    if (this.#failed.failed(network, performance.now()) && network !== undefined) {
      this.#addressesLimited++;
      const text = `too many failed logins from ${network}`;
      const fields = banS === 0 ? { address } : { address, banned_s: banS };
      this.#deps.write({ level: 'warn', module: 'auth', text, fields });
      if (banS > 0) this.#deps.ban(network, banS);
      // What it has sent before it was refused must not be worked off.
      const reason = new AddressLimited('too many failed logins');
      for (const waiting of this.#waiting) {
        if (waiting.network === network) waiting.abort(reason);
      }
    }
    // The native half waits for verdicts no longer than that.
    return Math.min(delayMs, this.#chain.options.timeoutMs / 2);
  }

  #later(answer: () => void, delayMs: number): void {
    const timer = setTimeout(() => {
      this.#delayed.delete(timer);
      answer();
    }, delayMs).unref();
    this.#delayed.add(timer);
  }

  #count(cause: RefusalCause): void {
    this.#refused[cause]++;
  }
}

/**
 * Who it is stays: the native half refuses another tenant, device or Client Identifier than it has,
 * as far as a verdict may say them here. The rest of the verdict holds from now on.
 */
function renewal(
  connectionId: bigint,
  accept: Accept,
  { options }: AuthChain,
  at: ListenerAuth,
): VerdictCommand {
  const { tenants, deviceIdFrom } = options;
  const saysTenant =
    !at.requireTenantCertificate && (!tenants.isOn || tenants.from.includes('verdict'));
  const saysDevice = deviceIdFrom === undefined || deviceIdFrom === 'verdict';
  return {
    connectionId,
    reasonCode: 0,
    clientId: accept.clientId,
    username: accept.username,
    tenant: saysTenant ? accept.tenant : undefined,
    deviceId: saysDevice ? accept.deviceId : undefined,
    expiresIn: accept.expiresIn,
    role: accept.role,
    groups: accept.groups,
    rules: rulesOf(accept),
    limits: accept.limits,
    authData: accept.authData,
  };
}

/** They have been checked by then. */
function rulesOf({ rules }: Accept): readonly NativeRule[] | undefined {
  return rules === undefined ? undefined : readRules(rules);
}

function tenantFor(
  chain: AuthChain,
  at: ListenerAuth,
  context: Context,
  verdict: string | undefined,
  username: string | undefined,
): { readonly tenant: string | undefined; readonly why?: string } {
  const { isOn, from } = chain.options.tenants;
  if (at.requireTenantCertificate) {
    const tenant = certificateTenant(context);
    const why = 'the certificate has no Organization of letters and digits';
    return tenant === undefined ? { tenant, why } : { tenant };
  }
  const tenant = isOn
    ? tenantOf({ from, verdict, username, context, listener: at.tenant })
    : verdict;
  if (tenant === undefined || isFitTenant(tenant)) return { tenant };
  return { tenant: undefined, why: 'the tenant is not of letters, digits, _ and -' };
}

function failureOf(provider: string, clientId: string, cause: unknown): StMqttdError {
  const why = cause instanceof UnfitVerdict ? cause.message : messageOf(cause);
  if (provider !== kHandlerName) {
    return fail(
      'ST_AUTH_PROVIDER',
      { provider: provider || 'the chain', clientId, why },
      { cause },
    );
  }
  const text = cause instanceof UnfitVerdict ? why : `the authenticator threw: ${why}`;
  return fail('ST_AUTHENTICATOR', { clientId, why: text }, { cause });
}
