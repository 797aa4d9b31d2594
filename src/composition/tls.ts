/** TLS of the listeners: who does it, and what the log says of that. Loaded where a listener has TLS. */
import { fail, messageOf } from '../errors.js';
import type { LogRecord } from '../log/logger.js';
import type { NativeAddon, NativeBroker, NativeTlsOptions } from '../native/addon.js';
import { nativeEngine } from '../tls/engine.js';
import { TlsContexts } from '../tls/tls-contexts.js';

/** broker.tls_engine */
export type TlsEngineName = 'auto' | 'native' | 'node';

export interface TlsParts {
  readonly wanted: TlsEngineName;
  readonly addon: Pick<NativeAddon, 'tlsAvailable' | 'tlsFallback'>;
  readonly native: NativeBroker;
  readonly write: (record: LogRecord) => void;
  /** Who is to be called when the native half has accepted something. */
  readonly takenBy: (take: () => void) => void;
}

export async function openTls(parts: TlsParts): Promise<TlsContexts> {
  const { wanted, addon, native, write, takenBy } = parts;
  const missing = missingOf(wanted, addon);
  if (missing === undefined) {
    const other = addon.tlsFallback();
    if (other !== null) write(record(systemText(other)));
    return new TlsContexts({ engine: nativeEngine(native), write });
  }
  const { NodeTls } = await loadNodeTls(missing);
  write(record(nodeText(missing)));
  const engine = new NodeTls(native);
  takenBy(engine.take);
  return new TlsContexts({ engine, write });
}

/** What a start does with the tables, without its effects. */
export async function tlsCheck(
  wanted: TlsEngineName,
  addon: Pick<NativeAddon, 'tlsAvailable' | 'tlsCheck'>,
): Promise<(options: NativeTlsOptions) => void> {
  const missing = missingOf(wanted, addon);
  if (missing === undefined) return (options) => addon.tlsCheck(options);
  const { NodeTls } = await loadNodeTls(missing);
  return (options) => NodeTls.check(options);
}

/** Why it is Node's; undefined = it is the native one. */
function missingOf(
  wanted: TlsEngineName,
  addon: Pick<NativeAddon, 'tlsAvailable'>,
): string | undefined {
  if (wanted === 'native') return undefined;
  if (wanted === 'node') return 'broker.tls_engine is "node"';
  return addon.tlsAvailable() ?? undefined;
}

async function loadNodeTls(missing: string) {
  try {
    return await import('../tls/node/node-tls.js');
  } catch (cause) {
    const why = `${missing}, and its module tls cannot be loaded: ${messageOf(cause)}`;
    throw fail('ST_TLS_UNAVAILABLE', { listener: '*', why }, { cause });
  }
}

const systemText = ({ version, missing }: { version: string; missing: string }) =>
  `this runtime does not export OpenSSL 3 (no ${missing}): TLS uses the system's ${version} instead`;

const nodeText = (why: string) =>
  `TLS of the listeners runs in Node's module tls, on JavaScript's thread (${why}): it takes more ` +
  'CPU time, and a busy event loop delays it';

const record = (text: string): LogRecord => ({
  level: 'warn',
  module: 'listener',
  text,
  fields: {},
});
