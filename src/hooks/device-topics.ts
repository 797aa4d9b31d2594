/**
 * Topics as hooks see them, which is how links do: with `device.me_topics = "scoped"` those of every
 * device are `v1/devices/me/…`, and whose they are is told beside them.
 */
import type { DeviceConfig } from '../config/access-config.js';

const kAnyDevice = /^(\/tenants\/[^/]*\/)?v1\/devices\/([^/]+)(?=\/|$)/;
const kMe = /^(\/tenants\/[^/]*\/)?v1\/devices\/me(?=\/|$)/;
const kMaxBytes = 65_535;

export interface ShownTopic {
  readonly topic: string;
  /** Of a device topic: whose it is. */
  readonly deviceId: string | undefined;
}

export class DeviceTopics {
  readonly #mode: DeviceConfig['meTopics'];

  constructor(mode: DeviceConfig['meTopics']) {
    this.#mode = mode;
  }

  /** User Properties that say who published are the broker's own. */
  get reservesPublisher(): boolean {
    return this.#mode !== 'off';
  }

  /** A hook's filter in its internal form: by `me` it means all devices. */
  inner(filter: string): string {
    if (this.#mode !== 'scoped') return filter;
    return filter.replace(kMe, (_, tenant: string | undefined) => `${tenant ?? ''}v1/devices/+`);
  }

  /** From the internal form. */
  show(topic: string): ShownTopic {
    const found = this.#mode === 'off' ? null : kAnyDevice.exec(topic);
    const deviceId = found?.[2];
    if (found === null || deviceId === 'me') return { topic, deviceId: undefined };
    if (this.#mode === 'shared') return { topic, deviceId };
    const behind = topic.slice(found[0].length);
    return { topic: `${found[1] ?? ''}v1/devices/me${behind}`, deviceId };
  }

  /** A Topic Name from a hook in its internal form. undefined: it is by `me`, and can be nobody's. */
  enter(topic: string, deviceId: string | undefined): string | undefined {
    const found = this.#mode === 'scoped' ? kMe.exec(topic) : null;
    if (found === null) return topic;
    if (deviceId === undefined) return undefined;
    const inner = `${found[1] ?? ''}v1/devices/${deviceId}${topic.slice(found[0].length)}`;
    return Buffer.byteLength(inner) <= kMaxBytes ? inner : undefined;
  }
}
