/** Who may come in, and what they may do there, of a new configuration for a broker that runs. */
import type { AuthGate } from '../auth/gate.js';
import type { BrokerConfig } from '../config/broker-config.js';
import type { NativeBroker } from '../native/addon.js';
import type { Prepared } from '../reload/reloader.js';
import type { AccessRules } from './rules.js';

export interface AccessParts {
  readonly auth: AuthGate;
  readonly rules: AccessRules;
  readonly native: Pick<NativeBroker, 'configure'>;
}

/**
 * Nothing is open that the new configuration wants closed, not for a moment: rules are in force and
 * CONNECTs wait before its listeners are opened. Rejects where something is wrong; then nothing has
 * changed.
 */
export async function prepareAccess(
  config: BrokerConfig,
  { auth, rules, native }: AccessParts,
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
  if (isTurnedOn) {
    auth.hold();
    native.configure({ authenticate: true });
  }
  return {
    reread: nextRules.reread ?? [],
    commit: () => {
      nextRules.commit();
      nextAuth.commit();
    },
    discard: () => {
      nextRules.discard();
      nextAuth.discard();
      if (!isTurnedOn) return;
      native.configure({ authenticate: false });
      auth.release();
    },
  };
}
