// The rows of `npm run bench:embedded`.

/** Ten publishers' worth of topics, and the one filter of them all. */
const topics = Array.from({ length: 10 }, (_, line) => `plant/line/${line}/value`);
const flow = { kind: 'flow', topics, filter: 'plant/line/+/value', size: 64 };
/** Undelivered messages. QoS 1: as many as ten publishers of `npm run bench` have unacknowledged. */
const limits = [5000, 1000];

const both = (id, title, more) =>
  [0, 1].map((qos) => ({
    ...flow,
    ...more,
    id: `${id}-q${qos}`,
    title: `${title}, QoS ${qos}`,
    qos,
    limit: limits[qos],
  }));

/**
 * 10,000 topics of 100 lines, drawn at random; 100 of them, one line's, are one percent. Subscribers
 * have 16,670 filters in all, so a message gets to one to three of them.
 */
const load = ['mixed', '--publishers', 10, '--filters', 16_670];
const hookRow = (id, title, hook) => ({ id, title, kind: 'load', load, hook });

const devices = (id, title, more) => ({
  ...{ id, title, kind: 'write', peer: 'devices', topics: ['v1/devices/me/rpc/request/1'] },
  ...{ size: 64, devices: 10_000, quick: { devices: 200 }, ...more },
});

export const rows = [
  ...both('link-link', 'link to link', {
    ...{ publishes: true, subscribes: true },
    brokers: ['st-mqttd', 'aedes', 'aedes+clients'],
  }),
  ...both('link-mqtt', 'link to 10 MQTT clients', { publishes: true, peer: 'receivers' }),
  ...both('mqtt-link', '10 MQTT clients to link', { subscribes: true, peer: 'publishers' }),
  hookRow('hook-none', 'MQTT to MQTT, no hook'),
  hookRow('hook-0', 'MQTT to MQTT, a hook of 0 % of it', { filter: 'elsewhere/#', all: false }),
  hookRow('hook-1', 'MQTT to MQTT, a hook of 1 % of it', {
    filter: 'site/plant3/line3/#',
    prefix: 'site/plant3/line3/',
  }),
  hookRow('hook-100', 'MQTT to MQTT, a hook of 100 % of it', { filter: 'site/#', all: true }),
  devices('write-many-q0', 'DirectWrite to 10,000 devices, in one call, QoS 0', { qos: 0 }),
  devices('write-each-q0', 'DirectWrite to 10,000 devices, a call each, QoS 0', {
    qos: 0,
    each: true,
  }),
  devices('write-many-q1', 'DirectWrite to 10,000 devices, in one call, QoS 1', { qos: 1 }),
];

/** Rows by name or beginning; all of them without any. */
export function chooseRows(names) {
  if (names.length === 0) return rows;
  const chosen = rows.filter(({ id }) => names.some((name) => id.startsWith(name)));
  const unknown = names.find((name) => !rows.some(({ id }) => id.startsWith(name)));
  if (unknown !== undefined) throw new Error(`no row '${unknown}'; --list shows them`);
  return chosen;
}
