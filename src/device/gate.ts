/** The device service of one run: loaded when somebody needs it, and told what happens from then on. */
import { fail } from '../errors.js';
import type { BrokerEvents } from '../session/events.js';
import { noDeviceCounts } from './counts.js';
import type { DeviceHandlers } from './handlers.js';
import type { DeviceService } from './service.js';
import type { DeviceCounts } from './types.js';

export interface DeviceGateDeps {
  readonly handlers: DeviceHandlers;
  /** [device] me_topics = "scoped": only then has each device topics of its own. */
  readonly isScoped: boolean;
  /** [device] gateways says that there are some. */
  readonly hasGateways: () => boolean;
  readonly load: () => Promise<DeviceService>;
  /** Whether somebody looks at events has changed. */
  readonly watchedChanged: () => void;
  readonly onError: (error: unknown) => void;
}

export class DeviceGate {
  readonly #deps: DeviceGateDeps;
  #loading: Promise<DeviceService> | undefined;
  #service: DeviceService | undefined;
  #ended = false;

  constructor(deps: DeviceGateDeps) {
    this.#deps = deps;
  }

  /** It wants to be told of clients. */
  get watches(): boolean {
    return this.#service !== undefined;
  }

  /** All 0 as long as nobody needs the service. */
  counts(): DeviceCounts {
    return this.#service?.counts() ?? noDeviceCounts;
  }

  /** Before listeners open: from the first client on, nothing that is for handlers passes them. */
  async prepare(): Promise<void> {
    const { handlers, isScoped, onError } = this.#deps;
    handlers.changed = () => this.#serve().catch(onError);
    if (!this.#isWanted) return;
    if (isScoped) await this.#make();
    else onError(fail('ST_DEVICE_TOPICS', { doing: 'answering devices' }));
  }

  /** Links can be opened: the I/O threads run. */
  async begin(): Promise<void> {
    if (this.#service !== undefined) await this.service('answering devices');
  }

  service(doing: string): Promise<DeviceService> {
    if (!this.#deps.isScoped) return Promise.reject(fail('ST_DEVICE_TOPICS', { doing }));
    if (this.#ended) {
      const next = 'await start() first';
      return Promise.reject(fail('ST_BROKER_STATE', { doing, state: 'stopped', next }));
    }
    this.#loading ??= this.#load();
    return this.#loading;
  }

  /** A reload has taken effect. */
  async apply(): Promise<void> {
    await this.#serve().catch(this.#deps.onError);
  }

  get #isWanted(): boolean {
    const { handlers, hasGateways } = this.#deps;
    return handlers.methods.size > 0 || handlers.attributes !== undefined || hasGateways();
  }

  tell<K extends keyof BrokerEvents>(event: K, [value]: BrokerEvents[K]): void {
    if (event === 'connect') this.#service?.connect(value as BrokerEvents['connect'][0]);
    else if (event === 'disconnect') {
      this.#service?.disconnect(value as BrokerEvents['disconnect'][0]);
    } else if (event === 'sessionEnd') {
      this.#service?.sessionEnded(value as BrokerEvents['sessionEnd'][0]);
    }
  }

  end(): void {
    this.#ended = true;
    this.#deps.handlers.changed = undefined;
    this.#service?.end();
  }

  async #serve(): Promise<void> {
    if (!this.#isWanted && this.#service === undefined) return;
    (await this.service('answering devices')).serve();
  }

  async #make(): Promise<DeviceService> {
    if (this.#service === undefined) {
      const made = await this.#deps.load();
      this.#service ??= made;
      this.#service.serve();
      this.#deps.watchedChanged();
    }
    return this.#service;
  }

  async #load(): Promise<DeviceService> {
    try {
      const service = await this.#make();
      await service.begin();
      return service;
    } catch (error) {
      // The next call tries again.
      this.#service?.end();
      this.#service = undefined;
      this.#loading = undefined;
      throw error;
    }
  }
}
