/** [acl] with its files: read at start, at each reload and by check, and in force for everybody at once. */
import type { BrokerConfig } from '../config/broker-config.js';
import { atPlace, placeOf } from '../config/places.js';
import type { NativeBroker } from '../native/addon.js';
import { applyRules, type RuleSet, ruleSet } from '../native/rule-set.js';
import type { Prepared } from '../reload/reloader.js';

type Native = Pick<NativeBroker, 'setRules'>;

/** Rejects with the place of acl.files, the file, and the line of what is wrong in it. */
export async function readRules({ acl }: Pick<BrokerConfig, 'acl'>): Promise<RuleSet> {
  if (acl === undefined || acl.files.length === 0) return ruleSet(acl, [], (rule) => placeOf(rule));
  const { readAclFile } = await import('../config/acl-file.js');
  const own = new Set<object>(acl.rules);
  const ofFiles = acl.files.flatMap((file) => {
    try {
      return readAclFile(file);
    } catch (error) {
      throw atPlace(error, acl, 'files');
    }
  });
  const files = placeOf(acl, 'files');
  return ruleSet(acl, ofFiles, (rule) =>
    own.has(rule) || files === undefined ? placeOf(rule) : `${files}: ${placeOf(rule)}`,
  );
}

export class AccessRules {
  readonly #native: Native;
  /** undefined = there have never been any: then nothing is said, and everything is allowed. */
  #current: RuleSet | undefined;

  constructor(native: Native) {
    this.#native = native;
  }

  /**
   * They are in force when this resolves: before any listener that they are about is opened.
   * Rejects where something is wrong; then nothing has changed.
   */
  async prepare(config: Pick<BrokerConfig, 'acl'>): Promise<Prepared> {
    if (config.acl === undefined && this.#current === undefined) return nothing;
    const next = await readRules(config);
    const before = this.#current ?? ruleSet(undefined, []);
    applyRules(this.#native, next);
    const isSame = Buffer.compare(before.bytes, next.bytes) === 0;
    return {
      reread: isSame || (config.acl?.files.length ?? 0) === 0 ? [] : ['acl.files'],
      commit: () => {
        this.#current = next;
      },
      // What has been in force once is no error now.
      discard: () => applyRules(this.#native, before),
    };
  }
}

const nothing: Prepared = { commit: () => {}, discard: () => {} };
