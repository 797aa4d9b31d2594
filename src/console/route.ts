/** One route: who may call it, what goes in, what comes out, what it does. */
import type { FastifyReply } from 'fastify';
import type { ConsoleRole } from '../config/service-options.js';
import type { Media, Schema } from './schema.js';

/** Who calls. */
export interface Caller {
  /** The token's name; "loopback" = local, where no tokens are configured; "nobody". */
  readonly name: string;
  readonly role: ConsoleRole | undefined;
  readonly address: string;
}

export interface Call<Q, B, P> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly caller: Caller;
  /** The console's own address that it came to. */
  readonly listen: string;
  /** The Accept header wants a row per line. */
  readonly wantsLines: boolean;
  readonly reply: FastifyReply;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  /** "clients.kick": operationId, and the action in the audit log. */
  readonly name: string;
  readonly summary: string;
  readonly tag: string;
  /** 'open' = anybody. */
  readonly role: ConsoleRole | 'open';
  /** One of ST-RMQTT's that reads: without tokens served on every address. */
  readonly isPublicRead?: true;
  readonly params?: Schema;
  readonly query?: Schema;
  readonly body?: Schema;
  /** The body is text of any media type. */
  readonly takesText?: true;
  readonly answers: Readonly<Record<number, Schema | Media>>;
  /** Of a changing route: what it was done to, for the audit log. */
  readonly target?: (call: Call<never, never, never>) => string;
  readonly handle: (call: Call<never, never, never>) => unknown;
}

interface Shape {
  readonly query?: unknown;
  readonly body?: unknown;
  readonly params?: unknown;
}
type CallOf<S extends Shape> = Call<S['query'], S['body'], S['params']>;

/** A route whose schemas let in exactly what `S` says. */
export function route<S extends Shape = object>(
  spec: Omit<Route, 'handle' | 'target'> & {
    readonly target?: (call: CallOf<S>) => string;
    readonly handle: (call: CallOf<S>) => unknown;
  },
): Route {
  return spec as unknown as Route;
}
