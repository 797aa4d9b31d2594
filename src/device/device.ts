/** One device as applications see it, and all of them. They hold nothing of it themselves. */
import { Listing } from '../session/listing.js';
import type { DeviceService } from './service.js';
import type { DeviceCounts, DeviceName, DeviceState, Json, RequestOptions } from './types.js';

/** Loads it with the first call. */
export type ServiceSource = (doing: string) => Promise<DeviceService>;

export class Device implements DeviceName {
  readonly id: string;
  readonly tenant: string | undefined;
  readonly #service: ServiceSource;

  constructor({ id, tenant }: DeviceName, service: ServiceSource) {
    this.id = id;
    this.tenant = tenant;
    this.#service = service;
  }

  /**
   * Asks the device and resolves with its answer: `{"method": …, "params": …}` to
   * `v1/devices/me/rpc/request/{n}`, of which it answers with JSON to `…/rpc/response/{n}`; of a device
   * behind a gateway by `v1/gateway/rpc`. Rejects with ST_DEVICE_NOT_CONNECTED, ST_DEVICE_NOT_LISTENING,
   * ST_RPC_TIMEOUT, ST_RPC_ANSWER (no JSON; `cause.payload` has what came), ST_RPC_BUSY, ST_RPC_ABORTED,
   * ST_DEVICE_TOPICS, ST_ARGUMENT or ST_BROKER_STATE.
   */
  async request(method: string, params?: Json, options: RequestOptions = {}): Promise<unknown> {
    const service = await this.#service('asking a device');
    return service.request(this, method, params, options);
  }

  /** request() without an answer: resolves when the broker has sent it on its way. */
  async notify(method: string, params?: Json, options: RequestOptions = {}): Promise<void> {
    const service = await this.#service('notifying a device');
    await service.notify(this, method, params, options);
  }

  /**
   * Pushes shared attributes to `v1/devices/me/attributes` (QoS 1). False: nobody has subscribed; it
   * is not kept for later. Rejects with ST_DEVICE_TOPICS, ST_ARGUMENT or ST_BROKER_STATE.
   */
  async setAttributes(shared: { readonly [key: string]: Json }): Promise<boolean> {
    const service = await this.#service('setting attributes');
    return service.setAttributes(this, shared);
  }

  /** What is known of it; undefined = nothing, or it was forgotten (device.max_known). */
  async state(): Promise<DeviceState | undefined> {
    return (await this.#service('reading the state of a device')).state(this);
  }
}

const stateFields: readonly (keyof DeviceState)[] = [
  ...(['id', 'tenant', 'online', 'gateway', 'clientId'] as const),
  ...(['connectedAt', 'disconnectedAt', 'lastCause', 'lastActivityAt'] as const),
];

/** Those that are online, and those that were, as many as device.max_known. */
export class Devices extends Listing<DeviceState> {
  readonly #service: ServiceSource;

  constructor(service: ServiceSource) {
    const doing = 'listing devices';
    super(doing, async (page) => (await service(doing)).list(page), stateFields);
    this.#service = service;
  }

  /** Since the start. */
  async counts(): Promise<DeviceCounts> {
    return (await this.#service('counting requests')).counts();
  }
}
