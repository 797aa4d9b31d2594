/**
 * Every error this package throws or logs: one class, one table of codes and texts. Tell errors
 * apart by `code`, never by message. docs/ERRORS.md explains each code; a test holds the two
 * together. Codes are never renamed or reused.
 */
import { reasonName } from './link/reason-codes.js';

const texts = {
  ST_ADDON_MISSING: (p: { folder: string; platform: string; why: string }) =>
    `loading the native addon: none was found for ${p.platform} under ${p.folder} (${p.why}). ` +
    'Run `npm rebuild st-mqttd` (it needs g++ or clang++, make and python3; ' +
    'on Debian: apt-get install g++ make python3), or use a platform that has a prebuilt addon',
  ST_ADDON_UNLOADABLE: (p: { folder: string; platform: string; why: string }) =>
    `loading the native addon for ${p.platform} from ${p.folder} failed: ${p.why}. ` +
    'It was built for another platform, C library or processor: run `npm rebuild st-mqttd` on this machine',
  ST_ADDON_VERSION: (p: { found: string; wanted: string }) =>
    `loading the native addon: it is version ${p.found}, this package is ${p.wanted}: ` +
    'run `npm rebuild st-mqttd`',

  ST_CONFIG_READ: (p: { file: string; why: string }) =>
    `reading the configuration file ${p.file}: ${p.why}`,
  ST_CONFIG_SYNTAX: (p: { where: string; why: string }) => `${p.where}: ${p.why}`,
  ST_CONFIG_VALUE: (p: { where: string; key: string; found: string; allowed: string }) =>
    `${p.where}: ${p.key} is ${p.found}; allowed: ${p.allowed}`,
  ST_CONFIG_MISSING: (p: { where: string; key: string; allowed: string }) =>
    `${p.where}: ${p.key} is missing; allowed: ${p.allowed}`,
  ST_CONFIG_REFERENCE: (p: { where: string; key: string; why: string }) =>
    `${p.where}: ${p.key} refers to something else: ${p.why}`,
  ST_CONFIG_CONFLICT: (p: { where: string; why: string }) => `${p.where}: ${p.why}`,
  ST_CONFIG_UNSUPPORTED: (p: { where: string; key: string; why: string }) =>
    `${p.where}: ${p.key}: ${p.why}; refusing to start`,
  ST_CONFIG_NO_LISTENER: (p: { where: string }) =>
    `${p.where}: no listener is configured; add one, as [unified.1] listen = "127.0.0.1:1883", or start with --listen 127.0.0.1:1883`,

  ST_USAGE: (p: { why: string }) => `${p.why}; st-mqttd --help lists what there is`,
  ST_LISTEN: (p: { address: string; why: string; next: string }) =>
    `cannot listen on ${p.address}: ${p.why}; ${p.next}`,
  ST_RESOLVE: (p: { address: string; why: string }) =>
    `cannot listen on ${p.address}: the host name does not resolve (${p.why}); use an address, as 0.0.0.0 or [::]`,

  ST_TLS_READ: (p: { listener: string; what: string; file: string; why: string }) =>
    `listener "${p.listener}": the ${p.what} ${p.file} cannot be read: ${p.why}`,
  ST_TLS_ITEM: (p: { listener: string; what: string; why: string; next: string }) =>
    `listener "${p.listener}": the ${p.what} ${p.why}; ${p.next}`,
  ST_TLS_UNAVAILABLE: (p: { listener: string; why: string }) =>
    `listener "${p.listener}": TLS cannot be had: ${p.why}; run the broker in Node.js 20 or later, ` +
    'install OpenSSL 3 (libssl3), or put a TLS proxy in front of a listener without TLS',

  /** `where`: in the configuration; undefined = it was given otherwise. */
  ST_LOG_FILTER: (p: {
    where: string | undefined;
    place: number;
    found: string;
    allowed: string;
  }) =>
    `${p.where === undefined ? '' : `${p.where}: log.filter: `}the log filter is wrong at character ` +
    `${p.place}, ${p.found}; allowed there: ${p.allowed}`,

  ST_BROKER_STATE: (p: { doing: string; state: string; next: string }) =>
    `${p.doing}: the broker is ${p.state}; ${p.next}`,
  ST_ARGUMENT: (p: { doing: string; name: string; found: string; allowed: string }) =>
    `${p.doing}: ${p.name} is ${p.found}; allowed: ${p.allowed}`,
  ST_AUTHENTICATOR: (p: { clientId: string; why: string }) =>
    `authenticating client "${p.clientId}": ${p.why}; refused with 0x88`,

  ST_HOOK: (p: { hook: string; topic: string; why: string; then: string }) =>
    `hook "${p.hook}"${p.topic === '' ? '' : ` on "${p.topic}"`}: ${p.why}; ${p.then}`,
  ST_HOOK_TIMEOUT: (p: { hook: string; topic: string; timeoutMs: number; then: string }) =>
    `hook "${p.hook}" on "${p.topic}" has not answered within ${p.timeoutMs} ms; ${p.then}`,

  ST_DEVICE_TOPICS: (p: { doing: string }) =>
    `${p.doing}: devices have no topics of their own; it needs me_topics = "scoped" in [device]`,
  ST_DEVICE_NOT_CONNECTED: (p: { device: string; method: string }) =>
    `asking device "${p.device}" for ${p.method}: it is not connected; with { queue: true } the request waits for it`,
  ST_DEVICE_NOT_LISTENING: (p: { device: string; method: string }) =>
    `asking device "${p.device}" for ${p.method}: it has not subscribed to v1/devices/me/rpc/request/+; with { queue: true } the request waits for that`,
  ST_DEVICE_GONE: (p: { device: string; method: string; why: string }) =>
    `asking device "${p.device}" for ${p.method}: nobody can answer any more: ${p.why}`,
  ST_DEVICE_HANDLER: (p: { device: string; method: string; why: string }) =>
    `the handler of ${p.method} failed for device "${p.device}": ${p.why}; the device was told so`,
  ST_RPC_TIMEOUT: (p: { device: string; method: string; timeoutMs: number }) =>
    `asking device "${p.device}" for ${p.method}: it has not answered within ${p.timeoutMs} ms`,
  ST_RPC_ABORTED: (p: { device: string; method: string }) =>
    `asking device "${p.device}" for ${p.method}: given up by its signal`,
  ST_RPC_ANSWER: (p: { device: string; method: string; why: string }) =>
    `asking device "${p.device}" for ${p.method}: its answer cannot be read, ${p.why}; cause.payload has it`,
  ST_RPC_BUSY: (p: { device: string; method: string; limit: number }) =>
    `asking device "${p.device}" for ${p.method}: ${p.limit} requests wait for answers already; wait for some of them`,
  ST_PLUGIN_UNKNOWN: (p: { where: string | undefined; name: string; known: string }) =>
    `${p.where === undefined ? '' : `${p.where}: `}there is no plugin "${p.name}"; there are ${p.known}; ` +
    `one of your own is named by [plugins.${p.name}] module = "./FILE.js"`,
  ST_PLUGIN_DIR: (p: { where: string | undefined; dir: string; why: string }) =>
    `${p.where === undefined ? '' : `${p.where}: `}plugins in ${p.dir}: ${p.why}`,
  ST_PLUGIN_LOAD: (p: { name: string; module: string; why: string }) =>
    `plugin "${p.name}": loading ${p.module}: ${p.why}`,
  ST_PLUGIN_CONFIG: (p: { where: string | undefined; name: string; why: string }) =>
    `${p.where === undefined ? '' : `${p.where}: `}plugin "${p.name}": its configuration is refused: ${p.why}`,
  ST_PLUGIN_START: (p: { name: string; why: string }) =>
    `plugin "${p.name}" does not start: ${p.why}`,
  ST_PLUGIN_STATE: (p: { name: string; doing: string; why: string }) =>
    `plugin "${p.name}": ${p.doing}: ${p.why}`,
  ST_PLUGIN_FAILED: (p: { name: string; doing: string; why: string }) =>
    `plugin "${p.name}": ${p.doing}: ${p.why}; the broker goes on`,

  ST_AUTH_CONFIG: (p: { where: string; why: string }) => `${p.where}: ${p.why}`,
  ST_AUTH_FILE: (p: { where: string; why: string }) => `${p.where}: ${p.why}`,
  ST_AUTH_PROVIDER: (p: { provider: string; clientId: string; why: string }) =>
    `authenticating client "${p.clientId}" by ${p.provider}: ${p.why}; refused with 0x88`,

  ST_LINK_REFUSED: (p: { clientId: string; reasonCode: number; reason: string }) =>
    `opening the link "${p.clientId}": refused with ${describe(p.reasonCode, p.reason)}`,
  ST_LINK_CLOSED: (p: { doing: string; why: string }) =>
    `${p.doing}: the link is closed (${p.why}); open another with broker.link()`,
  ST_LINK_PUBLISH_REFUSED: (p: { topic: string; reasonCode: number; reason: string }) =>
    `publishing to "${p.topic}": refused with ${describe(p.reasonCode, p.reason)}`,
  ST_LINK_SUBSCRIBE_REFUSED: (p: { filter: string; reasonCode: number; reason: string }) =>
    `subscribing to "${p.filter}": refused with ${describe(p.reasonCode, p.reason)}`,
  ST_LINK_UNSUBSCRIBE_REFUSED: (p: { filter: string; reasonCode: number; reason: string }) =>
    `unsubscribing from "${p.filter}": refused with ${describe(p.reasonCode, p.reason)}`,
  ST_LINK_FILTER_IN_USE: (p: { filter: string }) =>
    `subscribing to "${p.filter}": this link already has that Topic Filter; close the first subscription or use another link`,
  ST_LINK_TOO_LARGE: (p: { topic: string; bytes: number; limit: number }) =>
    `publishing to "${p.topic}": the packet has ${p.bytes} bytes, the broker takes ${p.limit}; raise mqtt.max_packet_size or send less`,
  ST_LINK_CAPABILITY: (p: { doing: string; why: string }) => `${p.doing}: ${p.why}`,
  ST_LINK_PROTOCOL: (p: { why: string }) =>
    `reading from the broker on a link: ${p.why}; this is a defect of st-mqttd, please report it`,

  ST_WRITE_TIMEOUT: (p: { clientId: string; timeoutMs: number }) =>
    `writing to client "${p.clientId}": nothing was heard within ${p.timeoutMs} ms; it may still arrive`,
  ST_WRITE_ABORTED: (p: { clientId: string }) =>
    `writing to client "${p.clientId}": given up by its signal; it may still arrive`,

  ST_CTL_USAGE: (p: { why: string }) => `${p.why}; st-mqttd ctl --help lists what there is`,
  ST_CTL_UNREACHABLE: (p: { url: string; why: string }) =>
    `cannot reach the console at ${p.url}: ${p.why}; does the broker run, with [console] in its configuration? ` +
    'Another address: --url URL',
  ST_CTL_REFUSED: (p: { doing: string; why: string }) => `${p.doing}: ${p.why}`,
  ST_CTL_ANSWER: (p: { url: string; why: string }) =>
    `what answers at ${p.url} is not the console of st-mqttd (${p.why}); name the right address with --url URL`,
} as const;

export type ErrorCode = keyof typeof texts;
export const errorCodes: readonly ErrorCode[] = Object.keys(texts) as ErrorCode[];

type Parameters_<C extends ErrorCode> = Parameters<(typeof texts)[C]>[0];

export class StMqttdError extends Error {
  override readonly name = 'StMqttdError';
  readonly code: ErrorCode;
  /** The MQTT 5.0 Reason Code, where the broker gave one. */
  readonly reasonCode: number | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; reasonCode?: number }) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.reasonCode = options.reasonCode;
  }
}

/** Makes an error of the table. `cause` is kept as it is. */
export function fail<C extends ErrorCode>(
  code: C,
  parameters: Parameters_<C>,
  options: { cause?: unknown } = {},
): StMqttdError {
  // One row's parameters fit that row's text: TypeScript cannot see it through the index.
  const text = (texts[code] as (p: Parameters_<C>) => string)(parameters);
  const reasonCode =
    'reasonCode' in parameters && typeof parameters.reasonCode === 'number'
      ? { reasonCode: parameters.reasonCode }
      : {};
  return new StMqttdError(code, text, { ...options, ...reasonCode });
}

/** The text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? String(thrown.message) : String(thrown);
  } catch {
    return 'something that has no text'; // an object without a prototype, a getter that throws
  }
}

/** A value that was found where another was expected, whatever it is. */
export function showFound(found: unknown): string {
  try {
    return JSON.stringify(found) ?? String(found);
  } catch {
    // a BigInt, a cycle, a getter that throws
    return typeof found === 'bigint' ? `${found}n` : `a value of type ${typeof found}`;
  }
}

/** A system error's code ('EADDRINUSE'), or undefined. */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

export function assertNever(value: never): never {
  throw new TypeError(`not a known case: ${JSON.stringify(value)}`);
}

function describe(reasonCode: number, reason: string): string {
  const hex = `0x${reasonCode.toString(16).toUpperCase().padStart(2, '0')}`;
  const name = `${hex} ${reasonName(reasonCode)}`;
  return reason === '' ? name : `${name}: ${reason}`;
}
