/**
 * What `st-mqttd ctl` trusts and shows where the console is served over TLS: --ca, --cert, --key,
 * --insecure. Loads undici, whose fetch can be told; only where one of the flags is given.
 */
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { RequestInit } from 'undici';
import { fail, messageOf } from '../../errors.js';

export interface TlsFlags {
  /** A PEM file each. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  /** Of the certificate; where it is absent, the certificate's file has it too. */
  readonly key: string | undefined;
  /** The console's certificate is not checked. */
  readonly insecure: boolean;
}

/** `fetch` with the flags in force. Throws ST_CTL_USAGE where a file is not what it should be. */
export async function fetchOver(flags: TlsFlags): Promise<typeof fetch> {
  if (flags.key !== undefined && flags.cert === undefined) {
    throw fail('ST_CTL_USAGE', { why: '--key is the key of --cert, which is missing' });
  }
  const ca = read('ca', flags.ca);
  const cert = read('cert', flags.cert);
  const key = read('key', flags.key) ?? cert;
  try {
    createSecureContext({ ca, cert, key });
  } catch (cause) {
    const which = flags.cert === undefined ? '--ca' : '--ca, --cert or --key';
    throw fail('ST_CTL_USAGE', { why: `${which}: ${messageOf(cause)}` }, { cause });
  }
  const { Agent, fetch: request } = await import('undici');
  const dispatcher = new Agent({
    connect: { ca, cert, key, rejectUnauthorized: !flags.insecure, minVersion: 'TLSv1.2' },
  });
  const over = (url: string | URL, options: RequestInit) =>
    request(url, { ...options, dispatcher });
  // The same interface; the types are those of another release of it.
  return over as unknown as typeof fetch;
}

function read(flag: string, path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    throw fail('ST_CTL_USAGE', { why: `--${flag}: ${messageOf(cause)}` }, { cause });
  }
}
