/** What devices' requests and states are made of: loaded when somebody needs them. */
import type { AuthGate } from '../auth/gate.js';
import type { BrokerConfig } from '../config/resolve.js';
import type { DirectWrites } from '../device/direct-write.js';
import type { Handlers } from '../device/inbound.js';
import { DeviceService } from '../device/service.js';
import type { HookRegistry } from '../hooks/registry.js';
import type { Links } from '../link/links.js';
import type { Recorder } from '../log/recorder.js';
import type { NativeRegistry } from '../session/native-registry.js';

export interface DeviceParts {
  /** As it was started with, and as it is in force. */
  readonly started: BrokerConfig;
  readonly current: () => BrokerConfig;
  readonly recorder: Recorder;
  readonly links: Links;
  readonly registry: NativeRegistry;
  readonly auth: AuthGate;
  readonly hooks: HookRegistry;
  readonly handlers: Handlers;
  readonly writes: DirectWrites;
}

export function openDevices(parts: DeviceParts): DeviceService {
  const { started, current, recorder, links, registry, auth, hooks, handlers, writes } = parts;
  const { deviceIdFrom } = started.device;
  const isOfClient = deviceIdFrom === undefined || deviceIdFrom === 'client_id';
  return new DeviceService({
    openLink: async () => links.open({}),
    registry,
    ping: () => registry.ping(started.broker.io_threads),
    isOpen: (listener) => isOfClient && auth.admission(listener) === 'open',
    hasTenants: started.tenants.mode !== 'off',
    handlers,
    showsTenant: started.tenants.mode === 'enforced',
    gateways: () => current().device.gateways,
    write: (clientId, topic, payload, options) => writes.write(clientId, topic, payload, options),
    warn: (text) => recorder.say('warn', 'auth', text),
    hook: (filter, handler, options) => hooks.add('publish', filter, handler, options),
    maxKnown: () => current().device.maxKnown,
    log: (error, suppressed) => {
      const more = suppressed === 0 ? {} : { suppressed };
      recorder.say('error', 'broker', error.message, { err: error, ...more });
    },
    onError: (error) => recorder.error('broker', error),
  });
}
