/** Who may come in, and what they may do there, of a new configuration for a broker that runs. */
import type { AuthGate } from '../auth/gate.js';
import type { BrokerConfig } from '../config/broker-config.js';
import type { Listeners } from '../listener/listeners.js';
import type { NativeBroker } from '../native/addon.js';
import type { Prepared } from '../reload/reloader.js';
import type { AccessRules } from './rules.js';

export interface AccessParts {
  readonly auth: AuthGate;
  readonly rules: AccessRules;
  readonly native: Pick<NativeBroker, 'configure'>;
  readonly listeners: Pick<Listeners, 'admit'>;
}

/**
 * Nothing is open that the new configuration wants closed, not for a moment: rules are in force and
 * CONNECTs wait before its listeners are opened. Rejects where something is wrong; then nothing has
 * changed.
 */
export async function prepareAccess(
  config: BrokerConfig,
  { auth, rules, native, listeners }: AccessParts,
): Promise<Prepared> {
  const nextAuth = await auth.prepare(config);
  let nextRules: Prepared;
  try {
    nextRules = await rules.prepare(config);
  } catch (error) {
    nextAuth.discard();
    throw error;
  }
  const isTurnedOn = nextAuth.isNeeded && !auth.isNeeded;
  const isJudged = nextAuth.isNeeded || auth.isNeeded;
  if (isJudged) {
    // Whoever is to be judged by then, or was until now, waits for the new chain.
    auth.hold();
    if (isTurnedOn) native.configure({ authenticate: true });
    listeners.admit((name) => {
      const admission = nextAuth.admission(name);
      return admission === auth.admission(name) ? admission : 'judged';
    });
  }
  return {
    reread: nextRules.reread ?? [],
    commit: () => {
      nextRules.commit();
      nextAuth.commit();
      listeners.admit((name) => auth.admission(name));
    },
    discard: () => {
      nextRules.discard();
      nextAuth.discard();
      if (!isJudged) return;
      listeners.admit((name) => auth.admission(name));
      if (isTurnedOn) native.configure({ authenticate: false });
      auth.release();
    },
  };
}
