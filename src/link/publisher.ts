/**
 * Who published a message: User Properties that the native half puts behind the publisher's own, and
 * takes off whatever a client writes by these names.
 */
import { kNoProperties, type Told } from './decode.js';
import type { Publisher } from './message.js';
import type { Properties, UserProperties } from './packets.js';

const names: ReadonlyMap<string, keyof Publisher> = new Map([
  ['publisher_client_id', 'clientId'],
  ['publisher_device_id', 'deviceId'],
  ['publisher_username', 'username'],
  ['publisher_tenant', 'tenant'],
]);

/** Nothing is told about him. */
export const kNobody: Publisher = Object.freeze({});

/** Whether a User Property of this name says who published. */
export function isPublisherName(name: string): boolean {
  return names.has(name);
}

/** Undefined: nothing is told. Else the properties are without what said that. */
export function tellPublisher(properties: Properties): Told | undefined {
  const { userProperties, ...others } = properties;
  if (userProperties === undefined) return undefined;
  const publisher: { -readonly [K in keyof Publisher]: Publisher[K] } = {};
  const rest: (readonly [string, string])[] = [];
  for (const pair of userProperties) {
    const key = names.get(pair[0]);
    if (key === undefined) rest.push(pair);
    else publisher[key] = pair[1];
  }
  if (rest.length === userProperties.length) return undefined;
  return { publisher, properties: without(others, rest) };
}

function without(others: Properties, rest: UserProperties): Properties {
  if (rest.length > 0) return { ...others, userProperties: rest };
  return Object.keys(others).length === 0 ? kNoProperties : others;
}
