/** What a reload did, for the log, the console and the application. */
import type { ChangedValue, ReloadPlan } from '../config/reload.js';

export interface ReloadReport {
  /** In effect now, for running connections too. */
  readonly live: readonly ChangedValue[];
  /** In effect for connections that begin from now on. */
  readonly newConnections: readonly ChangedValue[];
  /** Not in effect: these wait for a restart. All that differ from what the broker started with. */
  readonly restart: readonly ChangedValue[];
  /** By name. */
  readonly listenersAdded: readonly string[];
  readonly listenersRemoved: readonly string[];
  readonly listenersChanged: readonly string[];
  /** Files that say something else than before, in effect now: "acl.files", "certificates of v4-1". */
  readonly reread: readonly string[];
  /** Of the new configuration. */
  readonly warnings: readonly string[];
}

/** `sinceStart`: against what the broker started with. */
export function reportOf(
  plan: ReloadPlan,
  sinceStart: ReloadPlan,
  warnings: readonly string[],
  reread: readonly string[],
): ReloadReport {
  // A listener's address and name are told by the listener, not by its keys.
  const isOwn = ({ key }: ChangedValue) => !/^(v4|v5|unified|ws)\./.test(key);
  const names = (of: readonly { readonly name: string }[]) => of.map(({ name }) => name);
  return {
    live: plan.live,
    newConnections: plan.newConnections,
    restart: sinceStart.restart.filter(isOwn),
    listenersAdded: names(plan.listenersAdded),
    listenersRemoved: names(plan.listenersRemoved),
    listenersChanged: names(plan.listenersChanged.map(({ after }) => after)),
    reread,
    warnings,
  };
}

/** One line. */
export function reportText(report: ReloadReport): string {
  const { live, newConnections, restart } = report;
  const { listenersAdded, listenersChanged, listenersRemoved } = report;
  const keys = (of: readonly ChangedValue[]) => of.map(({ key }) => key);
  const parts = [
    part('in effect', keys(live)),
    part('for new connections', keys(newConnections)),
    part('read anew', report.reread),
    part('listeners added', listenersAdded),
    part('listeners changed', listenersChanged),
    part('listeners removed', listenersRemoved),
    part('after a restart only', keys(restart)),
  ].filter((text) => text !== '');
  return `configuration reloaded: ${parts.length === 0 ? 'nothing has changed' : parts.join('; ')}`;
}

const kMostNamed = 20;

function part(title: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const more = names.length > kMostNamed ? ` and ${names.length - kMostNamed} more` : '';
  return `${title}: ${names.slice(0, kMostNamed).join(', ')}${more}`;
}
