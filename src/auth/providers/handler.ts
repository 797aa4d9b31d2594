/** broker.authenticate() and broker.authenticateWith() as a provider and as a method. */
import type { AuthContext } from '../context.js';
import type { AuthExchange, AuthMethodHandler, EnhancedMethod } from '../enhanced.js';
import { type AuthProvider, type Decision, ignore } from '../provider.js';
import { type AuthHandler, type AuthVerdict, checkVerdict } from '../verdict.js';

/** What failures of the application's own code are known by. */
export const kHandlerName = 'handler';

export class HandlerProvider implements AuthProvider {
  readonly name = kHandlerName;
  readonly #handler: AuthHandler;

  constructor(handler: AuthHandler) {
    this.#handler = handler;
  }

  authenticate(context: AuthContext): Decision | Promise<Decision> {
    const verdict: unknown = this.#handler(context);
    return isThenable(verdict)
      ? Promise.resolve(verdict).then((given) => decisionOf(given as AuthVerdict))
      : decisionOf(verdict as AuthVerdict);
  }
}

export class HandlerMethod implements EnhancedMethod {
  readonly name = kHandlerName;
  readonly #handler: AuthMethodHandler;

  constructor(handler: AuthMethodHandler) {
    this.#handler = handler;
  }

  async run(exchange: AuthExchange): Promise<Decision> {
    const decision = decisionOf(await this.#handler(exchange));
    // There is nobody behind an exchange who could decide instead.
    return decision.kind === 'ignore' ? decisionOf(false) : decision;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value;
}

function decisionOf(given: AuthVerdict): Decision {
  const verdict = checkVerdict(given);
  if (verdict === 'ignore') return ignore;
  return verdict.accept
    ? { kind: 'allow', accept: verdict }
    : { kind: 'deny', refuse: verdict, cause: 'not_authorized' };
}
