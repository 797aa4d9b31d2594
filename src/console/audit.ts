/** What was changed, or tried to be, by whom: one record each. Refusals are bounded in rate. */
import type { ConsoleDeps } from './deps.js';
import type { Caller } from './route.js';

const kMaxTarget = 256;
const kRefusalsPerSecond = 20;

export class Audit {
  readonly #deps: Pick<ConsoleDeps, 'audit' | 'log'>;
  #second = 0;
  #refusals = 0;
  #suppressed = 0;

  constructor(deps: Pick<ConsoleDeps, 'audit' | 'log'>) {
    this.#deps = deps;
  }

  write(caller: Caller, action: string, target: string, result: string): void {
    // Whoever has no token must not be able to fill the log.
    if (caller.role === undefined && !this.#mayRefuse()) return;
    const shown = target.length > kMaxTarget ? `${target.slice(0, kMaxTarget)}…` : target;
    this.#deps.audit({ who: caller.name, address: caller.address, action, target: shown, result });
  }

  #mayRefuse(): boolean {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      if (this.#suppressed > 0) {
        const fields = { suppressed: this.#suppressed };
        this.#deps.log({
          level: 'warn',
          module: 'console',
          text: 'console: more refused requests',
          fields,
        });
      }
      this.#second = second;
      this.#refusals = 0;
      this.#suppressed = 0;
    }
    if (this.#refusals < kRefusalsPerSecond) {
      this.#refusals++;
      return true;
    }
    this.#suppressed++;
    return false;
  }
}
