/** Devices and their states. */
import type { DeviceState } from '../../device/types.js';
import type { Fields } from '../filter.js';
import { filterQuery } from '../filter.js';
import { type Route, route } from '../route.js';
import { flag, input, integer, listing, orNull, pageQuery, record, text } from '../schema.js';
import type { Context } from './context.js';
import { answerListing, type PageQuery } from './listing.js';

const fields: Fields<DeviceState> = {
  deviceid: { kind: 'text', of: ({ id }) => id, help: 'The device id' },
  tenant: { kind: 'text', of: ({ tenant }) => tenant, help: 'Its tenant' },
  gateway: { kind: 'text', of: ({ gateway }) => gateway, help: 'The gateway that it is behind' },
  online: { kind: 'flag', of: ({ online }) => online, help: 'Whether it is there' },
};

const time = (help: string) => orNull(integer(`${help}, in milliseconds since 1970.`));
const schema = record({
  deviceid: text('The device id.'),
  tenant: orNull(text('Its tenant.')),
  online: flag('It has a connection, or is behind a gateway that has one.'),
  gateway: orNull(text('The gateway that it is behind.')),
  clientid: orNull(text('The Client Identifier that it last had.')),
  connected_at: time('When it came last'),
  disconnected_at: time('When it went last'),
  last_cause: orNull(text('Why it went.')),
  last_activity_at: integer('When it was last heard of, in milliseconds since 1970.'),
});

export function deviceRoutes({ deps, scanner }: Context): readonly Route[] {
  return [
    route<{ query: PageQuery }>({
      method: 'GET',
      url: '/api/v1/devices',
      name: 'devices.list',
      summary: 'Devices, connected themselves or behind a gateway, and those that were',
      tag: 'clients',
      role: 'read',
      query: input({ ...pageQuery, ...filterQuery(fields) }),
      answers: { 200: listing(schema, 'Devices, in the order in which they first came.') },
      handle: (call) =>
        answerListing<DeviceState>(scanner, call, {
          source: (page) => deps.devices(page),
          fields,
          show,
        }),
    }),
  ];
}

function show(device: DeviceState): unknown {
  return {
    deviceid: device.id,
    tenant: device.tenant ?? null,
    online: device.online,
    gateway: device.gateway ?? null,
    clientid: device.clientId ?? null,
    connected_at: device.connectedAt ?? null,
    disconnected_at: device.disconnectedAt ?? null,
    last_cause: device.lastCause ?? null,
    last_activity_at: device.lastActivityAt,
  };
}
