/** What is told of each event: rmqttd's names, where it has one. Pure. */
import type {
  AckInfo,
  DropInfo,
  HookConnect,
  HookDelivery,
  HookMessage,
  HookSubscription,
  SubscribedInfo,
  UnsubscribeInfo,
} from '../../../hooks/types.js';
import type {
  ConnectInfo,
  DisconnectInfo,
  RefusedInfo,
  SessionEndInfo,
} from '../../../session/events.js';

export type Body = Readonly<Record<string, unknown>>;

const levels: Readonly<Record<string, number>> = { '3.1': 3, '3.1.1': 4, '5.0': 5 };
const level = (version: string | undefined) =>
  version === undefined ? null : (levels[version] ?? null);
const leftOut = ({ leftOut }: { readonly leftOut: number }): Body =>
  leftOut === 0 ? {} : { left_out: leftOut };

type Whose = {
  readonly address: string;
  readonly clientId: string;
  /** Of several connections of a Client Identifier; of the first it is left out. */
  readonly instance?: number;
  readonly username: string | undefined;
};
const which = (instance = 0): Body => (instance === 0 ? {} : { instance });
const whose = ({ address, clientId, instance, username }: Whose): Body => ({
  ipaddress: address,
  clientid: clientId,
  ...which(instance),
  username: username ?? null,
});

type Connecting = Pick<ConnectInfo, 'keepAlive' | 'protocolVersion' | 'cleanStart' | 'listener'>;
const connecting = ({ keepAlive, protocolVersion, cleanStart, listener }: Connecting): Body => ({
  keepalive: keepAlive,
  proto_ver: level(protocolVersion),
  ...(protocolVersion === '5.0' ? { clean_start: cleanStart } : { clean_session: cleanStart }),
  listener: listener ?? null,
});

export const connect = (client: HookConnect): Body => ({ ...whose(client), ...connecting(client) });

export const accepted = (client: ConnectInfo): Body => ({
  ...whose(client),
  ...connecting(client),
  conn_ack: 'Connection Accepted',
  reason_code: 0,
});

export const refused = (attempt: RefusedInfo): Body => ({
  ...whose({ ...attempt, username: undefined }),
  ...{ proto_ver: level(attempt.protocolVersion), listener: attempt.listener },
  ...{ conn_ack: attempt.cause, reason_code: attempt.reasonCode },
});

export const connected = (client: ConnectInfo, now: number): Body => ({
  ...whose(client),
  ...connecting(client),
  connected_at: now,
  session_present: client.sessionPresent,
});

export const disconnected = (client: DisconnectInfo, now: number): Body => ({
  ...whose(client),
  ...{ disconnected_at: now, reason: client.cause, reason_code: client.reasonCode },
});

export const created = (client: ConnectInfo, now: number): Body => ({
  ...whose(client),
  created_at: now,
});

export const terminated = ({ clientId, instance, cause }: SessionEndInfo): Body => ({
  clientid: clientId,
  ...which(instance),
  reason: cause,
});

export const subscribe = (subscription: HookSubscription): Body => ({
  ...{ clientid: subscription.clientId, ...which(subscription.instance) },
  ...{ username: subscription.username ?? null, topic: subscription.filter },
  opts: { qos: subscription.qos },
});

export const subscribed = (info: SubscribedInfo): Body => ({
  ...{ clientid: info.clientId, ...which(info.instance), topic: info.filter },
  ...{ opts: { qos: info.qos }, ...leftOut(info) },
});

export const unsubscribed = (info: UnsubscribeInfo): Body => ({
  ...{ clientid: info.clientId, ...which(info.instance), topic: info.filter, ...leftOut(info) },
});

export const published = (message: HookMessage, payload: string): Body => ({
  from_clientid: message.clientId,
  ...(message.instance === 0 ? {} : { from_instance: message.instance }),
  from_username: message.username ?? null,
  ...(message.tenant === undefined ? {} : { tenant: message.tenant }),
  ...(message.deviceId === undefined ? {} : { device_id: message.deviceId }),
  ...{ retain: message.retain, qos: message.qos, topic: message.topic, payload },
  ...(message.isWill ? { is_will: true } : {}),
});

export const delivered = (delivery: HookDelivery, payload: string): Body => ({
  ...{ clientid: delivery.clientId, ...which(delivery.instance) },
  ...{ username: delivery.username ?? null, from_clientid: delivery.publisher?.clientId ?? null },
  from_username: delivery.publisher?.username ?? null,
  ...(delivery.deviceId === undefined ? {} : { device_id: delivery.deviceId }),
  ...{ retain: delivery.retain, qos: delivery.qos, topic: delivery.topic, payload },
});

const received = ({ clientId, instance, topic, deviceId, qos }: AckInfo | DropInfo): Body => ({
  ...{ clientid: clientId === '' ? null : clientId, ...which(instance) },
  ...(deviceId === undefined ? {} : { device_id: deviceId }),
  ...{ topic, qos },
});

export const acked = (ack: AckInfo): Body => ({
  ...received(ack),
  ...{ packet_id: ack.packetId, reason_code: ack.reasonCode, ...leftOut(ack) },
});

export const dropped = (drop: DropInfo): Body => ({
  ...received(drop),
  ...{ reason: drop.cause, ...leftOut(drop) },
});
