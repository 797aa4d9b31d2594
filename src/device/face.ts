/** The devices' methods of a broker. Handlers may be registered at any time, before start() too. */
import { fail } from '../errors.js';
import { BrokerHooks } from '../hooks/face.js';
import type { Unregister } from '../hooks/types.js';
import { isFitDeviceId } from '../link/topics.js';
import { Device, Devices, type ServiceSource } from './device.js';
import { DeviceHandlers } from './handlers.js';
import type {
  AttributesHandler,
  DeviceHandlerOptions,
  DeviceOptions,
  DeviceRequestHandler,
} from './types.js';

export abstract class BrokerDevices extends BrokerHooks {
  protected readonly deviceHandlers = new DeviceHandlers();
  protected abstract readonly deviceService: ServiceSource;

  /** Of handlers for what devices ask too. See BrokerHooks. */
  override async hooksReady(): Promise<void> {
    await this.deviceHandlers.taken;
    await super.hooksReady();
  }

  /** One device, connected or not. Throws ST_ARGUMENT where the id cannot be a level of a topic. */
  device(id: string, { tenant }: DeviceOptions = {}): Device {
    const doing = 'naming a device';
    const allowed = 'one level of a topic, and not "me"';
    if (typeof id !== 'string' || !isFitDeviceId(id)) {
      throw fail('ST_ARGUMENT', { doing, name: 'id', found: JSON.stringify(id) ?? '', allowed });
    }
    if (tenant !== undefined && !/^[A-Za-z0-9]+$/.test(tenant)) {
      const found = JSON.stringify(tenant);
      throw fail('ST_ARGUMENT', { doing, name: 'tenant', found, allowed: 'letters and digits' });
    }
    return new Device({ id, tenant }, this.deviceService);
  }

  /** Devices that are or were online, with their states: `for await`, or by pages. */
  get devices(): Devices {
    return new Devices(this.deviceService);
  }

  /**
   * Answers what devices ask by `v1/devices/me/rpc/request/{n}`: what `handler` returns goes as JSON to
   * `…/rpc/response/{n}`; where it throws or takes too long, `{"error": …}` does. The method "*" stands
   * for all that have no handler of their own. Such requests go to nobody else. Throws ST_ARGUMENT.
   */
  onDeviceRequest(
    method: string,
    handler: DeviceRequestHandler,
    options?: DeviceHandlerOptions,
  ): Unregister {
    return this.deviceHandlers.addMethod(method, handler, options);
  }

  /**
   * Answers `v1/devices/me/attributes/request/{n}` by `…/attributes/response/{n}`, for devices behind
   * gateways too. One at a time. Throws ST_ARGUMENT.
   */
  onAttributesRequest(handler: AttributesHandler, options?: DeviceHandlerOptions): Unregister {
    return this.deviceHandlers.setAttributes(handler, options);
  }
}
