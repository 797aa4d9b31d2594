/** The username is what the client's verified certificate says; a password is not looked at. */
import { isMqttText } from '../../native/commands.js';
import type { ClientCertificate } from '../client-certificate.js';
import type { AuthContext } from '../context.js';
import { type AuthProvider, allow, type Decision, deny, ignore } from '../provider.js';

export type CertificateName = 'cn' | 'dn' | 'san';

export class CertificateIdentity implements AuthProvider {
  readonly name: string;
  readonly #username: CertificateName;

  constructor(name: string, username: CertificateName) {
    this.name = name;
    this.#username = username;
  }

  authenticate({ certificate }: AuthContext): Decision {
    if (certificate === undefined) return ignore;
    const username = nameOf(certificate, this.#username);
    if (username === undefined || username === '' || !isMqttText(username)) {
      return deny('not_authorized', `the certificate has no ${this.#username.toUpperCase()}`);
    }
    return allow({ username });
  }
}

function nameOf(certificate: ClientCertificate, which: CertificateName): string | undefined {
  switch (which) {
    case 'cn':
      return certificate.cn;
    case 'dn':
      return certificate.dn;
    case 'san':
      return certificate.san[0]?.value;
  }
}
