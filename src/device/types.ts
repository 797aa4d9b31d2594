/** What applications give and get of devices: types, and the error that has a raw payload. */
import type { Qos } from '../link/packets.js';
import type { CloseCauseName } from '../native/contract.js';

/** Anything that JSON can say. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** Which device: its id, within its tenant if it has one. */
export interface DeviceName {
  readonly id: string;
  readonly tenant: string | undefined;
}

export interface DeviceOptions {
  /** Where tenants are enforced or transparent: whose device it is. */
  readonly tenant?: string | undefined;
}

export interface RequestOptions {
  /** How long to wait for the answer, in ms, 1 to 3,600,000; default 10,000. */
  readonly timeoutMs?: number | undefined;
  /** With which the request is sent; default 1. */
  readonly qos?: Qos | undefined;
  /**
   * A device that is away: wait, within `timeoutMs`, until it is there and has subscribed. Default
   * false: ST_DEVICE_NOT_CONNECTED or ST_DEVICE_NOT_LISTENING at once.
   */
  readonly queue?: boolean | undefined;
  /** Aborted: ST_RPC_ABORTED; an answer that still comes counts as late. */
  readonly signal?: AbortSignal | undefined;
}

/** Why a device is not there: how its connection ended, or its gateway said so or went itself. */
export type DeviceCause = CloseCauseName | 'gateway_disconnect' | 'gateway_gone';

export interface DeviceState extends DeviceName {
  readonly online: boolean;
  /** The gateway that it is behind; undefined = none. */
  readonly gateway: string | undefined;
  /** The Client Identifier that it last had; undefined = it was only ever behind a gateway. */
  readonly clientId: string | undefined;
  /** Milliseconds since 1970; undefined = it has not happened while the broker looked. */
  readonly connectedAt: number | undefined;
  readonly disconnectedAt: number | undefined;
  readonly lastCause: DeviceCause | undefined;
  /**
   * Milliseconds since 1970. When it came, went, or a connection of its own last brought anything:
   * telemetry, answers, acknowledgements, PINGREQ. Of a device behind a gateway: when that last sent
   * something of it.
   */
  readonly lastActivityAt: number;
}

/** A request that a device has made. */
export interface DeviceRequest {
  readonly device: DeviceName;
  readonly method: string;
  /** As the device wrote it; undefined = nothing. */
  readonly params: Json | undefined;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** A device asks for attributes. */
export interface AttributesRequest {
  readonly device: DeviceName;
  /** Empty = it named none. */
  readonly clientKeys: readonly string[];
  readonly sharedKeys: readonly string[];
  readonly signal: AbortSignal;
}

export interface AttributesAnswer {
  readonly client?: { readonly [key: string]: Json } | undefined;
  readonly shared?: { readonly [key: string]: Json } | undefined;
}

/** What it returns is the answer; undefined is `null`. */
export type DeviceRequestHandler = (request: DeviceRequest) => unknown;
export type AttributesHandler = (
  request: AttributesRequest,
) => AttributesAnswer | Promise<AttributesAnswer>;

export interface DeviceHandlerOptions {
  /** How long it may take, in ms, 1 to 600,000; default 10,000. Then the device is told. */
  readonly timeoutMs?: number | undefined;
}

/** Since start(). */
export interface DeviceCounts {
  /** Now: those that are online, and those that were (device.max_known). */
  readonly devicesKnown: number;
  readonly devicesOnline: number;
  readonly requestsUnderWay: number;
  readonly requests: number;
  readonly answers: number;
  readonly timeouts: number;
  /** Requests whose device was away or had not subscribed, or that were too many. */
  readonly requestsRefused: number;
  /** Requests whose device or gateway has gone for good before it answered. */
  readonly requestsGone: number;
  /** Answers that nobody waited for (any more). */
  readonly lateAnswers: number;
  /** Answers of a device to what another one was asked. */
  readonly foreignAnswers: number;
  readonly deviceRequests: number;
  readonly deviceRequestErrors: number;
  readonly gatewayMessages: number;
  /** What gateways said for devices that are not theirs, or could not be read, or who was none. */
  readonly gatewayRefused: number;
}

/** The cause of ST_RPC_ANSWER. */
export class UnreadablePayload extends Error {
  override readonly name = 'UnreadablePayload';
  /** As it came. */
  readonly payload: Buffer;

  constructor(message: string, payload: Buffer, cause: unknown) {
    super(message, { cause });
    this.payload = payload;
  }
}
