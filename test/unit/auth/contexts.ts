// What providers are asked about, made up for tests.
import type { AuthContext } from '../../../src/auth/context.ts';
import type { ConnectRequestEvent } from '../../../src/native/events.ts';

export interface Asked {
  readonly clientId?: string;
  readonly username?: string;
  readonly password?: string | Buffer;
  readonly address?: string;
  readonly listener?: string;
  readonly certificate?: AuthContext['certificate'];
  readonly signal?: AbortSignal;
}

export function contextOf(asked: Asked = {}): AuthContext {
  const { password } = asked;
  return {
    clientId: asked.clientId ?? 'client-1',
    username: asked.username,
    password: password === undefined ? undefined : Buffer.from(password),
    address: asked.address ?? '192.0.2.7:40000',
    listener: asked.listener ?? 'main',
    transport: 'tcp',
    certificate: asked.certificate,
    protocolVersion: '5.0',
    cleanStart: true,
    keepAlive: 60,
    sessionExpiry: 0,
    willTopic: undefined,
    authMethod: undefined,
    authData: undefined,
    signal: asked.signal ?? new AbortController().signal,
  };
}

let connections = 0n;

export function requestOf(
  asked: Asked & {
    readonly authMethod?: string;
    readonly authData?: Buffer;
    readonly der?: Buffer;
  } = {},
): ConnectRequestEvent {
  const { username, password } = asked;
  return {
    kind: 'connect_request',
    connectionId: ++connections,
    listenerId: 1,
    sessionExpiry: 0,
    keepAlive: 60,
    protocolVersion: '5.0',
    flags: {
      cleanStart: true,
      hasUsername: username !== undefined,
      hasPassword: password !== undefined,
      hasWill: false,
      sessionPresent: false,
      isLink: false,
      assignedId: false,
      isHooked: false,
    },
    clientId: asked.clientId ?? 'client-1',
    username: username ?? '',
    password: Buffer.from(password ?? ''),
    address: asked.address ?? '192.0.2.7:40000',
    willTopic: '',
    transport: 'tcp',
    certificate: asked.der ?? Buffer.alloc(0),
    authMethod: asked.authMethod ?? '',
    authData: asked.authData ?? Buffer.alloc(0),
  };
}
