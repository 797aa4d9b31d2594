/** Requests to the console's API. The token stays in this tab: sessionStorage, and nothing else. */

const kTokenKey = 'st-mqttd.token';
/** The page is at …/ui/: a proxy may have put a prefix before it. */
export const base = new URL('../', document.baseURI);

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function token(): string | undefined {
  return sessionStorage.getItem(kTokenKey) ?? undefined;
}

export function setToken(value: string | undefined): void {
  if (value === undefined) sessionStorage.removeItem(kTokenKey);
  else sessionStorage.setItem(kTokenKey, value);
}

let onUnauthorized: (message: string) => void = () => undefined;

/** What happens where a token is needed, or is not accepted any more. */
export function whenUnauthorized(handler: (message: string) => void): void {
  onUnauthorized = handler;
}

export interface RequestOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
  }
  const known = token();
  const headers: Record<string, string> = { accept: 'application/json' };
  if (known !== undefined) headers.authorization = `Bearer ${known}`;
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(url, {
      method: options.method ?? 'GET',
      headers,
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      credentials: 'omit',
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'unreachable', 'the broker does not answer');
  }
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok) return answer as T;
  const { code = '', message = '' } =
    (answer as { error?: { code?: string; message?: string } } | undefined)?.error ?? {};
  const failure = new ApiError(response.status, code, message || `HTTP ${response.status}`);
  if (response.status === 401) onUnauthorized(failure.message);
  throw failure;
}

/** One part of a path. */
export function part(text: string): string {
  return encodeURIComponent(text);
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
  readonly scanned: number;
}

export interface ClientRow {
  readonly clientid: string;
  readonly instance: number;
  readonly connected: boolean;
  readonly connection_id: string;
  readonly username: string | null;
  readonly address: string;
  readonly listener: string | null;
  readonly proto_ver: 3 | 4 | 5 | null;
  readonly clean_start: boolean;
  readonly keepalive: number;
  readonly expiry_interval: number | 'never';
  readonly created_at: number;
  readonly connected_at: number | null;
  readonly disconnected_at: number | null;
  readonly disconnected_reason: string | null;
  readonly subscriptions_cnt: number;
  readonly mqueue_len: number;
  readonly mqueue_bytes: number;
  readonly inflight: number;
  readonly inbound_inflight: number;
  readonly dropped: number;
  readonly has_will: boolean;
  readonly thread: number;
}

export interface ClientDetail extends ClientRow {
  readonly instances: readonly number[];
  readonly connection: {
    readonly receive_maximum: number;
    readonly maximum_packet_size: number;
    readonly topic_alias_maximum: number;
    readonly outbound_bytes: number;
    readonly paused_by: readonly string[];
  } | null;
  readonly will: {
    readonly topic: string;
    readonly qos: number;
    readonly retain: boolean;
    readonly payload_bytes: number;
    readonly delay: number;
  } | null;
  readonly window: readonly {
    readonly packet_id: number;
    readonly direction: 'in' | 'out';
    readonly qos: number;
    readonly state: string;
    readonly topic: string;
    readonly payload_bytes: number;
  }[];
}

export interface SubscriptionRow {
  readonly topic: string;
  readonly qos: number;
  readonly share: string | null;
  readonly no_local: boolean;
  readonly retain_as_published: boolean;
  readonly retain_handling: number;
  readonly subscription_id: number | null;
}

export const versionName = { 3: '3.1', 4: '3.1.1', 5: '5.0' } as const;
