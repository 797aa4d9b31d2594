/** Asks an embedding application whether a client may connect, and answers the native half. */
import { fail, messageOf } from '../errors.js';
import { connackRefusals } from '../link/reason-codes.js';
import { isMqttText, type VerdictCommand } from '../native/commands.js';
import type { ConnectRequestEvent, ProtocolVersion } from '../native/events.js';

/** Who wants to connect. */
export interface AuthContext {
  /** Assigned already where the client gave none. */
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  /** "127.0.0.1:52110", "[::1]:4040", "unix". */
  readonly address: string;
  /** The listener's name. */
  readonly listener: string;
  readonly protocolVersion: ProtocolVersion;
  readonly cleanStart: boolean;
  /** Seconds; 0 = none. */
  readonly keepAlive: number;
  /** Seconds, as asked for. */
  readonly sessionExpiry: number | 'never';
  /** The Will's topic; undefined = no Will. */
  readonly willTopic: string | undefined;
  /** Aborted when the verdict would come too late, or the broker stops. */
  readonly signal: AbortSignal;
}

export interface Accept {
  readonly accept: true;
  /** Replaces the Client Identifier. */
  readonly clientId?: string | undefined;
  /** Replaces the username. */
  readonly username?: string | undefined;
  /** Seconds that the session may outlive its connection at most. */
  readonly maxSessionExpiry?: number | undefined;
  readonly maxQos?: 0 | 1 | 2 | undefined;
  /** Seconds; told to the client (MQTT 5.0) or enforced silently. */
  readonly serverKeepAlive?: number | undefined;
  /** false: a client with a Will is refused (0x87). */
  readonly allowWill?: boolean | undefined;
}
export interface Refuse {
  readonly accept: false;
  /** A Reason Code of CONNACK, 0x80 or more; default 0x87 Not authorized. */
  readonly reasonCode?: number | undefined;
  /** Told to MQTT 5.0 clients. */
  readonly reason?: string | undefined;
}
export type AuthVerdict = boolean | Accept | Refuse;
export type AuthHandler = (context: AuthContext) => AuthVerdict | Promise<AuthVerdict>;

const kNotAuthorized = 0x87;
const kUnavailable = 0x88;
const kNever = 0xffffffff;

export class Authenticator {
  readonly #handler: AuthHandler;
  #timeoutMs: number;
  readonly #answer: (verdict: VerdictCommand) => void;
  readonly #onError: (error: Error) => void;
  readonly #waiting = new Set<Context>();

  constructor(
    handler: AuthHandler,
    timeoutMs: number,
    answer: (verdict: VerdictCommand) => void,
    onError: (error: Error) => void,
  ) {
    this.#handler = handler;
    this.#timeoutMs = timeoutMs;
    this.#answer = answer;
    this.#onError = onError;
  }

  /** Never rejects, never throws. */
  async judge(event: ConnectRequestEvent, listener: string): Promise<void> {
    const context = new Context(event, listener, this.#timeoutMs);
    this.#waiting.add(context);
    let command: VerdictCommand;
    try {
      command = toCommand(event.connectionId, await this.#handler(context));
    } catch (cause) {
      const why =
        cause instanceof UnfitVerdict
          ? cause.message
          : `the authenticator threw: ${messageOf(cause)}`;
      this.#onError(fail('ST_AUTHENTICATOR', { clientId: event.clientId, why }, { cause }));
      command = { connectionId: event.connectionId, reasonCode: kUnavailable };
    } finally {
      this.#waiting.delete(context);
      context.settle();
    }
    // A late one is dropped there, and counted (verdicts_stale).
    this.#answer(command);
  }

  /** Of those who come from now on. */
  setTimeout(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
  }

  /** The broker stops: nobody waits for verdicts any more. */
  end(): void {
    for (const context of this.#waiting) context.abort(new Error('the broker stops'));
    this.#waiting.clear();
  }
}

class Context implements AuthContext {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  readonly address: string;
  readonly listener: string;
  readonly protocolVersion: ProtocolVersion;
  readonly cleanStart: boolean;
  readonly keepAlive: number;
  readonly sessionExpiry: number | 'never';
  readonly willTopic: string | undefined;
  readonly #deadline: number;
  #controller: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #settled = false;

  constructor(event: ConnectRequestEvent, listener: string, timeoutMs: number) {
    this.clientId = event.clientId;
    this.username = event.flags.hasUsername ? event.username : undefined;
    this.password = event.flags.hasPassword ? event.password : undefined;
    this.address = event.address;
    this.listener = listener;
    this.protocolVersion = event.protocolVersion;
    this.cleanStart = event.flags.cleanStart;
    this.keepAlive = event.keepAlive;
    this.sessionExpiry = event.sessionExpiry;
    this.willTopic = event.flags.hasWill ? event.willTopic : undefined;
    this.#deadline = performance.now() + timeoutMs;
  }

  /** Made when it is asked for: most handlers do not, and connects come by the thousand. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      const left = Math.max(0, this.#deadline - performance.now());
      if (!this.#settled) {
        const late = new Error('the time for a verdict is over (broker.verdict_timeout_ms)');
        this.#timer = setTimeout(() => this.abort(late), left).unref();
      }
    }
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    clearTimeout(this.#timer);
    this.#controller?.abort(reason);
  }

  settle(): void {
    this.#settled = true;
    clearTimeout(this.#timer);
  }
}

class UnfitVerdict extends TypeError {}

function toCommand(connectionId: bigint, verdict: AuthVerdict): VerdictCommand {
  if (verdict === true) return { connectionId, reasonCode: 0 };
  if (verdict === false) return { connectionId, reasonCode: kNotAuthorized };
  // What comes here is an application's: types do not hold at run time.
  const given: unknown = verdict;
  if (typeof given !== 'object' || given === null || typeof verdict.accept !== 'boolean') {
    throw new UnfitVerdict('its verdict is neither true, false nor an object with `accept`');
  }
  if (!verdict.accept) {
    const reasonCode = verdict.reasonCode ?? kNotAuthorized;
    if (!connackRefusals.has(reasonCode)) {
      throw new UnfitVerdict(`its reasonCode ${reasonCode} is not a refusal of CONNACK`);
    }
    if (verdict.reason !== undefined && !isMqttText(verdict.reason)) {
      throw new UnfitVerdict('its reason is not text of at most 65535 bytes without U+0000');
    }
    return { connectionId, reasonCode, reasonText: verdict.reason };
  }
  check('maxSessionExpiry', verdict.maxSessionExpiry, kNever);
  check('serverKeepAlive', verdict.serverKeepAlive, 0xfffe);
  check('maxQos', verdict.maxQos, 2);
  checkText('clientId', verdict.clientId);
  checkText('username', verdict.username);
  return {
    connectionId,
    reasonCode: 0,
    maxSessionExpiry: verdict.maxSessionExpiry,
    serverKeepAlive: verdict.serverKeepAlive,
    maxQos: verdict.maxQos,
    refuseWill: verdict.allowWill === false,
    clientId: verdict.clientId,
    username: verdict.username,
  };
}

function check(name: string, value: number | undefined, max: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= max)) return;
  throw new UnfitVerdict(`its ${name} is ${value}; allowed: 0 to ${max}`);
}

function checkText(name: string, value: string | undefined): void {
  if (value === undefined) return;
  if (!isMqttText(value) || value === '')
    throw new UnfitVerdict(`its ${name} is not 1 to 65535 bytes of text`);
}
