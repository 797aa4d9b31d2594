// A plant with certificates of its own, and listeners for each transport, as an operator would
// configure them: what the tests with clients of other projects connect to.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../e2e/broker-process.js';
import { type Issued, issue, revocationList } from '../harness/certificates.js';

export interface Site {
  readonly folder: string;
  readonly caFile: string;
  readonly ports: Readonly<Record<'tls' | 'mtls' | 'ws' | 'wss', number>>;
  /** For startProcess(). */
  readonly configuration: string;
  /** Paths of a certificate and its key, as "device-1.pem" and "device-1.key". */
  files(name: string): { readonly cert: string; readonly key: string };
  remove(): void;
}

/** Clients "device-1" and "device-2" are the CA's, "revoked" was, "stranger" is of another CA. */
export async function makeSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-site-'));
  const at = (name: string) => join(folder, name);
  const files = (name: string) => ({ cert: at(`${name}.pem`), key: at(`${name}.key`) });
  const write = (name: string, { certificate, key }: Issued) => {
    writeFileSync(files(name).cert, certificate);
    writeFileSync(files(name).key, key, { mode: 0o600 });
  };
  const ca = issue({ subject: { cn: 'Plant CA' }, isCa: true });
  const other = issue({ subject: { cn: 'Other CA' }, isCa: true });
  writeFileSync(at('ca.pem'), ca.certificate);
  writeFileSync(at('other-ca.pem'), other.certificate);
  write('server', issue({ subject: { cn: 'localhost' }, by: ca, names: ['localhost'] }));
  write('named', issue({ subject: { cn: 'plant' }, by: ca, names: ['plant.example'] }));
  for (const cn of ['device-1', 'device-2']) write(cn, issue({ subject: { cn }, by: ca }));
  write('stranger', issue({ subject: { cn: 'device-1' }, by: other }));
  const revoked = issue({ subject: { cn: 'revoked' }, by: ca });
  write('revoked', revoked);
  writeFileSync(at('crl.pem'), revocationList(ca, [revoked]));

  const ports = {
    tls: await freePort(),
    mtls: await freePort(),
    ws: await freePort(),
    wss: await freePort(),
  };
  const identity = `certpath = "${at('server.pem')}"\nkeypath = "${at('server.key')}"\n`;
  const configuration = `
[unified.tls]
listen = "127.0.0.1:${ports.tls}"
[unified.tls.tls]
${identity}
[[unified.tls.tls.sni]]
name = "plant.example"
certpath = "${at('named.pem')}"
keypath = "${at('named.key')}"

[unified.mtls]
listen = "127.0.0.1:${ports.mtls}"
[unified.mtls.tls]
${identity}
capath = "${at('ca.pem')}"
crlpath = "${at('crl.pem')}"
identity = "cn"

[ws.plain]
listen = "127.0.0.1:${ports.ws}"
[ws.secure]
listen = "127.0.0.1:${ports.wss}"
[ws.secure.tls]
${identity}

[acl]
default = "allow"
[[acl.rules]]
effect = "allow"
listeners = ["unified-mtls"]
filters = ["devices/%u/#"]
[[acl.rules]]
effect = "deny"
listeners = ["unified-mtls"]
filters = ["#"]
`;
  const remove = () => rmSync(folder, { recursive: true, force: true });
  return { folder, caFile: at('ca.pem'), ports, configuration, files, remove };
}
