/** Topics of devices as links and hooks see them, and what stands in their payloads. Pure. */
import type { DeviceName } from './types.js';

/** One device, in maps: no device id has a slash. */
export function keyOf({ id, tenant }: DeviceName): string {
  return tenant === undefined ? id : `${tenant}/${id}`;
}

/** How errors and logs name it. */
export const textOf = keyOf;

/** What a service publishes to. */
export function deviceTopic({ id, tenant }: DeviceName, rest: string): string {
  return `${tenant === undefined ? '' : `/tenants/${tenant}`}/v1/devices/${id}/${rest}`.replace(
    /^\/v1/,
    'v1',
  );
}

export interface DevicePlace {
  readonly tenant: string | undefined;
  /** "me" where the topic does not say which. */
  readonly id: string;
  /** Behind the device id. */
  readonly rest: string;
}

export function readDeviceTopic(topic: string): DevicePlace | undefined {
  const found = /^(?:\/tenants\/([^/]+)\/)?v1\/devices\/([^/]+)\/(.+)$/s.exec(topic);
  if (found === null) return undefined;
  return { tenant: found[1], id: found[2] ?? '', rest: found[3] ?? '' };
}

export function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The JSON of a payload that may be wrong; throws SyntaxError or TypeError (not UTF-8). */
export function parseJson(payload: Uint8Array): unknown {
  return JSON.parse(utf8.decode(payload));
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
