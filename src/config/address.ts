/** "HOST:PORT" as it is written in listen = "…" and --listen. */

export interface ListenAddress {
  /** A name, an IPv4 or an IPv6 address without brackets. */
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** May be missing on this machine: the default's [::1] where there is no IPv6. */
  readonly optional?: boolean;
}

export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%\w+)?)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  const host = match[1] ?? match[2];
  // Brackets are for IPv6: "[1234]" would otherwise pass.
  if (host === undefined || port > 65535 || (match[1] !== undefined && !host.includes(':'))) {
    return undefined;
  }
  return { host, port };
}

export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
