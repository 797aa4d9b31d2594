// A CA, a server and a client as files, and the lines of a tls table that name them.
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { issue, pkcs12 } from '../harness/certificates.js';

export function tlsFiles(folder: string) {
  const ca = issue({ subject: { cn: 'CA' }, isCa: true });
  const server = issue({ subject: { cn: 'localhost' }, names: ['localhost'], by: ca });
  const client = issue({ subject: { cn: 'device', o: 'acme' }, by: ca });
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(resolve(folder, name), content);
    return `"${resolve(folder, name)}"`;
  };
  const certificate = file('c.pem', server.certificate);
  return {
    folder,
    pair: `certpath = ${certificate}\nkeypath = ${file('k.pem', server.key)}\n`,
    capath: `capath = ${file('ca.pem', ca.certificate)}\n`,
    pkcs12: `pkcs12path = ${file('s.pfx', pkcs12(server, [ca], 'word'))}\npkcs12pass = "word"\n`,
    /** Of MQTT.js. */
    trust: { protocol: 'mqtts', host: 'localhost', ca: ca.certificate } as const,
    identity: { cert: client.certificate, key: client.key },
    /** Another certificate and key of the server, by the same CA. */
    replace: () => {
      const next = issue({ subject: { cn: 'localhost' }, names: ['localhost'], by: ca });
      file('c.pem', next.certificate);
      file('k.pem', next.key);
      return next;
    },
  };
}
