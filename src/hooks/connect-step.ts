/** A CONNECT that was accepted, on its way through the hooks. */
import { showFound } from '../errors.js';
import { isMqttText, type VerdictCommand } from '../native/commands.js';
import type { ConnectRequestEvent } from '../native/events.js';
import type { Step } from './chain.js';
import type { Hook } from './registry.js';
import type { ConnectChange, ConnectHook, HookConnect, Refusal } from './types.js';

const kNotAuthorized = 0x87;
const kUnavailable = 0x88;
/** What CONNACK can say (MQTT 5.0, 3.2.2.2). */
const codes: ReadonlySet<unknown> = new Set([
  ...[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97],
  ...[0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f],
]);
const words = { pass: 'the client is let in', drop: 'the client is refused' };

export class ConnectStep implements Step {
  readonly about: string;
  readonly words = words;
  failed = false;
  timedOut = false;
  readonly #shown: HookConnect;
  readonly #connectionId: bigint;
  readonly #answer: (verdict: VerdictCommand) => void;
  #limits: ConnectChange = {};

  constructor(
    event: ConnectRequestEvent,
    listener: string,
    answer: (verdict: VerdictCommand) => void,
  ) {
    this.about = event.clientId;
    this.#connectionId = event.connectionId;
    this.#answer = answer;
    this.#shown = Object.freeze({
      clientId: event.clientId,
      username: event.username === '' ? undefined : event.username,
      address: event.address,
      listener,
      protocolVersion: event.protocolVersion,
      cleanStart: event.flags.cleanStart,
      keepAlive: event.keepAlive,
      sessionExpiry: event.sessionExpiry,
      willTopic: event.flags.hasWill ? event.willTopic : undefined,
    });
  }

  call(hook: Hook): unknown {
    return (hook.handler as ConnectHook)(this.#shown);
  }

  take(answer: unknown): ReturnType<Step['take']> {
    if (answer === undefined || answer === 'pass') return 'next';
    if (answer === 'drop') return this.#refuse(kNotAuthorized, undefined);
    if (typeof answer !== 'object' || answer === null) {
      return { wrong: `it answered ${showFound(answer)}, which is no verdict` };
    }
    if ('refuse' in answer) {
      const { refuse, reason } = answer as Refusal;
      if (!codes.has(refuse)) return { wrong: `no CONNACK can have the code ${String(refuse)}` };
      if (reason !== undefined && !isMqttText(reason))
        return { wrong: 'the reason is not MQTT text' };
      return this.#refuse(refuse, reason);
    }
    return this.#change(answer as ConnectChange);
  }

  drop(): void {
    this.#refuse(kUnavailable, undefined);
  }

  finish(): void {
    this.#answer({ connectionId: this.#connectionId, reasonCode: 0, ...this.#limits });
  }

  #refuse(reasonCode: number, reasonText: string | undefined): 'end' {
    this.#answer({ connectionId: this.#connectionId, reasonCode, reasonText });
    return 'end';
  }

  #change(change: ConnectChange): ReturnType<Step['take']> {
    const bounds = {
      maxSessionExpiry: [0, 0xfffffffd],
      serverKeepAlive: [1, 65_534],
      maxQos: [0, 2],
    };
    for (const [key, value] of Object.entries(change)) {
      const [least, most] = bounds[key as keyof typeof bounds] ?? [];
      if (least === undefined || most === undefined) {
        return { wrong: `nobody can change "${key}" of a client` };
      }
      if (value !== undefined && !(Number.isInteger(value) && value >= least && value <= most)) {
        return { wrong: `${key} is ${String(value)}; allowed: ${least} to ${most}` };
      }
    }
    const lower = (a: number | undefined, b: number | undefined) =>
      a === undefined ? b : b === undefined ? a : Math.min(a, b);
    const { maxSessionExpiry, serverKeepAlive, maxQos } = change;
    this.#limits = {
      maxSessionExpiry: lower(this.#limits.maxSessionExpiry, maxSessionExpiry),
      serverKeepAlive: lower(this.#limits.serverKeepAlive, serverKeepAlive),
      maxQos: lower(this.#limits.maxQos, maxQos) as 0 | 1 | 2 | undefined,
    };
    return 'next';
  }
}
