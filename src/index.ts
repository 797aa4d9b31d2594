/** What `import … from 'st-mqttd'` gives. */
export type { ClientCertificate, SubjectName } from './auth/client-certificate.js';
export type { AuthContext } from './auth/context.js';
export type { AuthExchange, AuthMethodHandler } from './auth/enhanced.js';
export type { Accept, AuthHandler, AuthVerdict, ClientLimits, Refuse } from './auth/verdict.js';
export type { ClientRule } from './auth/verdict-rules.js';
export { Broker, type BrokerOptions } from './broker.js';
export type { ConfigTables, ListenerOptions } from './config/options.js';
export type { Resolution } from './config/resolve.js';
export type { Device, Devices } from './device/device.js';
export type {
  DirectWriteCounts,
  DirectWriteManyOptions,
  DirectWriteOptions,
  DirectWriteResult,
  WriteDropReason,
} from './device/direct-write.js';
export {
  type AttributesAnswer,
  type AttributesHandler,
  type AttributesRequest,
  type DeviceCause,
  type DeviceCounts,
  type DeviceHandlerOptions,
  type DeviceName,
  type DeviceOptions,
  type DeviceRequest,
  type DeviceRequestHandler,
  type DeviceState,
  type Json,
  type RequestOptions,
  UnreadablePayload,
} from './device/types.js';
export { type ErrorCode, StMqttdError } from './errors.js';
export type {
  AckHook,
  AckInfo,
  AlertHook,
  ConnectChange,
  ConnectedHook,
  ConnectHook,
  DeliverHook,
  DeliveryChange,
  DeliveryVerdict,
  DisconnectHook,
  DropHook,
  DropInfo,
  HookClient,
  HookConnect,
  HookDelivery,
  HookMessage,
  HookOptions,
  HookPolicy,
  HookSubscription,
  MessageChange,
  MessageDrop,
  MessageVerdict,
  NoticeOptions,
  PublishHook,
  Refusal,
  RefusedHook,
  SessionEndHook,
  SessionExpireHook,
  SubscribedHook,
  SubscribedInfo,
  SubscribeHook,
  SubscriptionChange,
  Unregister,
  UnsubscribeHook,
  UnsubscribeInfo,
} from './hooks/types.js';
export type { BanInfo, BanKind, BanOptions, BanPage, Bans } from './limits/bans.js';
export type { Link } from './link/link.js';
export type { Message } from './link/message.js';
export type { LinkEnd, LinkOptions, PublishOptions } from './link/options.js';
export type { PublishResult } from './link/outgoing.js';
export type { MessageProperties, Qos, UserProperties, WillOptions } from './link/packets.js';
export type { Granted, SubscribeOptions, Subscription } from './link/subscription.js';
export type { BoundAddress } from './listener/listeners.js';
export type { LogRecord, RecordLevel } from './log/logger.js';
export type { LogModule } from './log/modules.js';
export type { Metrics } from './metrics/counters.js';
export type { MeterOptions } from './metrics/feeds.js';
export type { MeterRates, Meters } from './metrics/meters.js';
export type {
  AlertName,
  CloseCauseName,
  CounterName,
  DropCauseName,
  LogLevelName,
  SessionEndCauseName,
} from './native/contract.js';
export type { ProtocolVersion } from './native/events.js';
export { definePlugin } from './plugins/define.js';
export type { Plugins } from './plugins/plugins.js';
export type {
  Plugin,
  PluginContext,
  PluginEnd,
  PluginHooks,
  PluginInfo,
  PluginLog,
} from './plugins/types.js';
export type { ReloadReport } from './reload/report.js';
export type { DisconnectOptions } from './session/disconnect.js';
export type {
  AlertInfo,
  BrokerEvents,
  ConnectInfo,
  DisconnectInfo,
  RefusedInfo,
  SessionEndInfo,
} from './session/events.js';
export type { Feed, FeedOptions } from './session/feed.js';
export type { Listing, ListingPage, NumberRange, RowFilter } from './session/listing.js';
export type {
  Clients,
  RetainedMessages,
  Sessions,
  Subscriptions,
} from './session/listings.js';
export type {
  ClientDetail,
  ClientIdentity,
  ClientRow,
  InFlightRow,
  Page,
  PageRequest,
  Registry,
  RetainedRow,
  SubscribeRequest,
  SubscriptionRow,
  Totals,
  Transport,
} from './session/registry.js';
export type { TracedPacket, TraceInfo, TraceOptions, Tracer, TraceSink } from './trace/tracer.js';
