/**
 * Who judges the clients of each listener, in order: the first who allows or denies decides. A chain
 * is never changed: a reload makes another one.
 */
import { messageOf } from '../errors.js';
import type { NativeAdmission } from '../native/addon.js';
import { type AuthContext, within } from './context.js';
import type { DeviceIdFrom } from './device-id.js';
import type { EnhancedMethod } from './enhanced.js';
import type { FailedLoginLimits } from './failed-logins.js';
import { openAdmission } from './open-admission.js';
import type { Opened } from './opened.js';
import { type AuthProvider, allow, type Decision, deny } from './provider.js';
import type { TenantFrom } from './tenant.js';
import { checkVerdict } from './verdict.js';

export interface ListenerAuth {
  readonly providers: readonly AuthProvider[];
  /** Methods of enhanced authentication by name. */
  readonly methods: ReadonlyMap<string, EnhancedMethod>;
  readonly allowAnonymous: boolean;
  /** Whether anybody is asked who its clients are. */
  readonly isGuarded: boolean;
  /** Its clients need a certificate with an Organization, which is their tenant. */
  readonly requireTenantCertificate: boolean;
  readonly tenant: string | undefined;
  /** Its clients may show certificates: whom they name is what rules and device ids may ask for. */
  readonly readsCertificates: boolean;
}

export interface ChainOptions {
  /** By the listener's name. */
  readonly listeners: ReadonlyMap<string, ListenerAuth>;
  /** All that is to be stopped at the end. */
  readonly providers: readonly { stop?(): void }[];
  /** Those of auth.providers: what the next chain may share. */
  readonly opened: readonly Opened[];
  readonly tenants: { readonly isOn: boolean; readonly from: readonly TenantFrom[] };
  readonly deviceIdFrom: DeviceIdFrom | undefined;
  readonly failedLogins: FailedLoginLimits;
  readonly timeoutMs: number;
}

/** A provider could not judge. */
export class ProviderFailed extends Error {
  readonly provider: string;

  constructor(provider: string, cause: unknown) {
    super(messageOf(cause), { cause });
    this.provider = provider;
  }
}

/** Allowed without anyone knowing who it is. */
export const anonymous: Decision = allow();

export class AuthChain {
  readonly options: ChainOptions;

  constructor(options: ChainOptions) {
    this.options = options;
  }

  /** Whether CONNECTs must come to TypeScript at all. */
  get needed(): boolean {
    return [...this.options.listeners.keys()].some((name) => this.admission(name) === 'judged');
  }

  /** Whether those of this listener must; one that there is not yet is not open. */
  admission(name: string): NativeAdmission {
    const at = this.listener(name);
    const { tenants, deviceIdFrom } = this.options;
    if (at === undefined || tenants.isOn || isJudged(at)) return 'judged';
    return openAdmission(deviceIdFrom);
  }

  /** Whether an Authentication Method may be accepted anywhere. */
  get enhanced(): boolean {
    return [...this.options.listeners.values()].some(({ methods }) => methods.size > 0);
  }

  listener(name: string): ListenerAuth | undefined {
    return this.options.listeners.get(name);
  }

  /** Throws or rejects with ProviderFailed, or with the reason of the context's signal. */
  judge(context: AuthContext): Decision | Promise<Decision> {
    const at = this.listener(context.listener);
    // Of a listener that a reload has removed while the client came.
    if (at === undefined) return deny('unavailable');
    return ask(at, 0, context);
  }

  /** Of what its providers hold: files that are watched, connections, caches. */
  stop(): void {
    for (const provider of this.options.providers) provider.stop?.();
  }
}

/** Whether there is anything to find out about a client, or a reason to refuse one. */
function isJudged(at: ListenerAuth): boolean {
  const { isGuarded, requireTenantCertificate, allowAnonymous, readsCertificates } = at;
  return isGuarded || requireTenantCertificate || !allowAnonymous || readsCertificates;
}

function ask(at: ListenerAuth, first: number, context: AuthContext): Decision | Promise<Decision> {
  for (const [offset, provider] of at.providers.slice(first).entries()) {
    let decision: Decision | Promise<Decision>;
    try {
      decision = provider.authenticate(context);
    } catch (cause) {
      throw new ProviderFailed(provider.name, cause);
    }
    if (decision instanceof Promise) {
      return askLater(decision, at, first + offset, context);
    }
    if (decision.kind !== 'ignore') return checked(decision, provider.name);
  }
  return nobodyKnows(at, context);
}

async function askLater(
  pending: Promise<Decision>,
  at: ListenerAuth,
  index: number,
  context: AuthContext,
): Promise<Decision> {
  const name = at.providers[index]?.name ?? '';
  let decision: Decision;
  try {
    decision = await within(context.signal, pending);
  } catch (cause) {
    throw new ProviderFailed(name, cause);
  }
  return decision.kind === 'ignore' ? ask(at, index + 1, context) : checked(decision, name);
}

/** What a token or a server says goes no further before it is looked at. */
function checked(decision: Exclude<Decision, { kind: 'ignore' }>, provider: string): Decision {
  try {
    checkVerdict(decision.kind === 'allow' ? decision.accept : decision.refuse);
    return decision;
  } catch (cause) {
    throw new ProviderFailed(provider, cause);
  }
}

/**
 * Who shows credentials that nobody knows is no anonymous client: he would take himself for somebody
 * who he is not here.
 */
function nobodyKnows(at: ListenerAuth, { username, password }: AuthContext): Decision {
  const hasShown = username !== undefined || password !== undefined;
  if (at.allowAnonymous && !(hasShown && at.isGuarded)) return anonymous;
  return deny(hasShown ? 'bad_credentials' : 'no_credentials');
}
