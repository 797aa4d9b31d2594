// What the rows about TLS, authentication and rules configure: a certificate, users, providers.
import { execFileSync } from 'node:child_process';
import { createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { PlainError, which } from '../../scripts/run.mjs';

/** Whoever connects in the rows about authentication. */
export const credentials = { username: 'bench', password: 'correct horse battery' };
/** As mosquitto_passwd's, so that both brokers do the same work. */
const kIterations = 101;
const kRules = 1000;

/** A self-signed one for localhost, ECDSA P-256. */
export function certificate(folder) {
  if (which('openssl') === undefined) {
    throw new PlainError("'openssl' is missing: on Debian or Ubuntu, apt-get install openssl");
  }
  const certificateFile = join(folder, 'certificate.pem');
  const keyFile = join(folder, 'key.pem');
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const what = [
    '-subj',
    '/CN=localhost',
    '-days',
    '2',
    '-out',
    certificateFile,
    '-keyout',
    keyFile,
  ];
  execFileSync('openssl', ['req', '-x509', ...curve, ...what], { stdio: 'ignore' });
  return { certificateFile, keyFile };
}

/** mosquitto's format, which both brokers read; `more` users that never come. */
export function passwordFile(folder, more = 1000) {
  const file = join(folder, 'passwords');
  const line = (name, password) => {
    const salt = randomBytes(12);
    const hash = pbkdf2Sync(password, salt, kIterations, 64, 'sha512');
    return `${name}:$7$${kIterations}$${salt.toString('base64')}$${hash.toString('base64')}\n`;
  };
  const others = Array.from({ length: more }, (_, index) => line(`other-${index}`, `${index}`));
  writeFileSync(file, others.join('') + line(credentials.username, credentials.password), {
    mode: 0o644,
  });
  return file;
}

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function jwt(secret) {
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: 'bench', exp: now + 86_400 })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

const providers = {
  static: () => ({
    lines: [
      '[[auth.providers]]',
      'kind = "static"',
      '[auth.providers.users]',
      `bench = "${credentials.password}"`,
    ],
    credentials,
  }),
  passwords: ({ folder }) => ({
    lines: ['[[auth.providers]]', 'kind = "password_file"', `path = "${passwordFile(folder)}"`],
    credentials,
  }),
  jwt: () => {
    const secret = randomBytes(32).toString('hex');
    return {
      lines: [
        '[[auth.providers]]',
        'kind = "jwt"',
        'algorithms = ["HS256"]',
        `secret = "${secret}"`,
      ],
      credentials: { username: 'bench', password: jwt(secret) },
    };
  },
  http: async () => {
    const server = createServer((request, response) => {
      request.resume().once('end', () => {
        response.setHeader('Content-Type', 'application/json');
        response.end('{"result":"allow"}');
      });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${server.address().port}/`;
    return {
      lines: ['[[auth.providers]]', 'kind = "http"', `url = "${url}"`],
      credentials,
      end: () => {
        server.closeAllConnections();
        server.close();
      },
    };
  },
};

export const stMqttdAccess = Object.keys(providers);

/** { lines, credentials, end? } of one of `stMqttdAccess`. */
export const withAccess = (kind, how) => providers[kind](how);

/** A thousand rules of which the last lets everything pass: what a client's first message must walk. */
export function rules() {
  const lines = ['[acl]', 'default = "deny"'];
  for (let index = 1; index < kRules; index += 1) {
    const effect = index % 3 === 0 ? 'deny' : 'allow';
    const filter = index % 5 === 0 ? `plant/${index}/+/state/#` : `plant/${index}/%c/telemetry`;
    lines.push('[[acl.rules]]', `effect = "${effect}"`, `filters = ["${filter}"]`);
  }
  return [...lines, '[[acl.rules]]', 'effect = "allow"', 'filters = ["#"]'];
}
