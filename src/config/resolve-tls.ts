/** A listener's `[….tls]`. Whether its files are there and fit is found when they are read. */
import type { SniConfig, TlsConfig } from './broker-config.js';
import { placedIn } from './places.js';
import type { Reader } from './reader.js';
import type { ValueTable } from './rows.js';
import { sniRows, tlsRows } from './tls-options.js';
import type { TableNode } from './tree.js';

export function readTls(
  reader: Reader,
  table: string,
  listener: TableNode,
): { readonly tls: TlsConfig; readonly node: TableNode } | undefined {
  const node = reader.tableAt(listener, 'tls');
  if (node === undefined) return undefined;
  const name = `${table}.tls`;
  const rows = reader.rows(name, node, tlsRows, 'tls') as unknown as ValueTable<typeof tlsRows>;
  const verify = rows.verify_client_cert ?? (rows.capath === '' ? 'none' : 'require');
  const { certpath, keypath, keypass, pkcs12path, pkcs12pass } = rows;
  if (pkcs12path !== '' && (certpath !== '' || keypath !== '')) {
    const why = 'pkcs12path and certpath with keypath are two certificates; keep one of them';
    throw reader.conflict(node, 'pkcs12path', why);
  }
  if (pkcs12path === '') refuseHalf(reader, node, { certpath, keypath });
  if (verify !== 'none' && rows.capath === '') {
    const why = `verify_client_cert = "${verify}" needs capath: the CAs that client certificates come from`;
    throw reader.conflict(node, 'verify_client_cert', why);
  }
  if (rows.identity !== 'none' && verify === 'none') {
    const why = `identity = "${rows.identity}" needs verified client certificates: capath, and verify_client_cert not "none"`;
    throw reader.conflict(node, 'identity', why);
  }
  if (rows.crlpath !== '' && verify === 'none') {
    const why = 'crlpath says which client certificates are revoked, but none are verified';
    throw reader.conflict(node, 'crlpath', why);
  }
  return {
    node,
    tls: placedIn(node, {
      certpath,
      keypath,
      keypass,
      pkcs12path,
      pkcs12pass,
      capath: rows.capath,
      crlpath: rows.crlpath,
      verify,
      identity: rows.identity as TlsConfig['identity'],
      minVersion: rows.min_version as TlsConfig['minVersion'],
      ciphers: rows.ciphers,
      ciphersuites: rows.ciphersuites,
      alpn: rows.alpn,
      sni: readSni(reader, name, node),
    }),
  };
}

function readSni(reader: Reader, table: string, tls: TableNode): readonly SniConfig[] {
  const seen = new Set<string>();
  return reader.tablesAt(tls, 'sni').map((node, index) => {
    const values = reader.rows(`${table}.sni[${index}]`, node, sniRows, 'sni');
    const { name, certpath, keypath, keypass } = values as unknown as ValueTable<typeof sniRows>;
    if (name === '') throw reader.missing(node, 'name', sniRows.name);
    refuseHalf(reader, node, { certpath, keypath });
    const lower = name.toLowerCase();
    if (seen.has(lower)) throw reader.conflict(node, 'name', `two certificates for "${name}"`);
    seen.add(lower);
    return placedIn(node, { name: lower, certpath, keypath, keypass });
  });
}

function refuseHalf(
  reader: Reader,
  node: TableNode,
  { certpath, keypath }: { readonly certpath: string; readonly keypath: string },
): void {
  if (certpath === '') throw reader.missing(node, 'certpath', tlsRows.certpath);
  if (keypath === '') throw reader.missing(node, 'keypath', tlsRows.keypath);
}
