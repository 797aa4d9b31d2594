// TLS in the I/O threads against Node's own client: versions, client certificates, resumption, SNI,
// ALPN, CRLs, keys of all sorts, replacing a context under live connections.
import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import type { NativeTlsFailure, NativeTlsOptions } from '../../src/native/addon.js';
import { loadAddon } from '../../src/native/load.js';
import { encryptedKey, issue, pkcs12, revocationList } from '../harness/certificates.js';
import { eventually } from '../harness/eventually.js';
import { isNode } from '../harness/tls-engine.js';
import { checkOptions, TlsServer, tlsOptions } from './tls-native.js';

const root = issue({ subject: { cn: 'Root' }, isCa: true });
const middle = issue({ subject: { cn: 'Middle' }, by: root, isCa: true });
const server = issue({ subject: { cn: 'localhost' }, by: root, names: ['localhost'] });
const client = issue({ subject: { cn: 'device-1', o: 'acme' }, by: middle });
const stranger = issue({ subject: { cn: 'stranger' } });

/** What the client trusts and calls the server. */
const trust: ConnectionOptions = { ca: root.certificate, servername: 'localhost' };
const withCertificate: ConnectionOptions = {
  ...trust,
  cert: client.certificate + middle.certificate,
  key: client.key,
};
const pem = (...texts: readonly string[]) => texts.map((text) => Buffer.from(text));

let servers: TlsServer[] = [];
afterEach(async () => {
  for (const each of servers) await each.stop();
  servers = [];
});
function serve(
  over: Partial<NativeTlsOptions> = {},
  spec: ConstructorParameters<typeof TlsServer>[1] = {},
): TlsServer {
  const made = new TlsServer(tlsOptions(server, over), spec);
  servers.push(made);
  return made;
}
async function failureOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return 'none';
}
function refusalOf(over: Partial<NativeTlsOptions>): NativeTlsFailure {
  try {
    checkOptions(tlsOptions(server, over));
  } catch (error) {
    return error as NativeTlsFailure;
  }
  throw new Error('it was accepted');
}

test('this runtime has what TLS needs', () => {
  expect(loadAddon().tlsAvailable()).toBeNull();
});

describe('versions and ciphers', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s', async (version) => {
    const tls = serve();
    const socket = await tls.talk({ ...trust, minVersion: version, maxVersion: version });
    expect(socket.getProtocol()).toBe(version);
    expect(tls.count('tls_handshakes')).toBe(1);
    // Our ciphers, forward secrecy and all, not Node's defaults.
    expect(socket.getCipher().name).toBe(
      version === 'TLSv1.2' ? 'ECDHE-ECDSA-AES128-GCM-SHA256' : 'TLS_AES_128_GCM_SHA256',
    );
  });

  test('1.1 is refused, and 1.2 where 1.3 is the least', async () => {
    const tls = serve({ min_version: '1.3' });
    const old = { ...trust, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
    expect(await failureOf(tls.talk(old))).toMatch(/ERR_SSL_.*VERSION/);
    const older = { ...trust, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' } as const;
    const ciphers = 'DEFAULT:@SECLEVEL=0';
    expect(await failureOf(serve().talk({ ...older, ciphers }))).toMatch(/ERR_SSL_.*VERSION/);
    await eventually(() => expect(tls.count('tls_failed_version')).toBe(1));
  });

  test('a list of ciphers of the operator', async () => {
    const tls = serve({ ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' });
    const socket = await tls.talk({ ...trust, maxVersion: 'TLSv1.2' });
    expect(socket.getCipher().name).toBe('ECDHE-ECDSA-CHACHA20-POLY1305');
    const wrong = tls.talk({ ...trust, maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' });
    expect(await failureOf(wrong)).toMatch(/ERR_SSL/);
  });

  test('a client cannot renegotiate', async () => {
    const socket = await serve().talk({ ...trust, maxVersion: 'TLSv1.2' });
    const error = await new Promise<Error | null>((done) => {
      socket.once('error', done);
      socket.renegotiate({}, done);
    });
    expect(error?.message).toMatch(/no[_ ]renegotiation/i);
  });
});

describe('client certificates', () => {
  const asking = { ca: pem(root.certificate), verify: 'require' } as const;

  test('required: let in with one, through a CA in between; refused without, and with another', async () => {
    const tls = serve(asking);
    await tls.talk(withCertificate);
    expect(await failureOf(tls.talk(trust))).toMatch(/CERTIFICATE|ECONNRESET|alert/i);
    const foreign = { ...trust, cert: stranger.certificate, key: stranger.key };
    expect(await failureOf(tls.talk(foreign))).toMatch(/UNKNOWN_CA|CERTIFICATE|ECONNRESET/i);
    await eventually(() => expect(tls.count('tls_failed_certificate')).toBe(2));
    expect(tls.count('tls_handshakes_failed')).toBe(2);
    await eventually(() => expect(tls.count('refused_tls_failed')).toBe(2));
  });

  test('optional: none is fine, one that nobody signed is not', async () => {
    const tls = serve({ ...asking, verify: 'optional' });
    await tls.talk(trust);
    await tls.talk(withCertificate);
    const foreign = { ...trust, cert: stranger.certificate, key: stranger.key };
    expect(await failureOf(tls.talk(foreign))).not.toBe('none');
  });

  test('all CAs of one file, and one in between as the end of trust', async () => {
    const others = [stranger, root].map(({ certificate }) => certificate).join('some text\n');
    await serve({ ...asking, ca: pem(others) }).talk(withCertificate);
    const own = { ...trust, cert: client.certificate, key: client.key };
    await serve({ ...asking, ca: pem(middle.certificate) }).talk(own);
  });

  test('expired, and not valid yet', async () => {
    const past = new Date(Date.now() - 1000);
    const future = new Date(Date.now() + 3_600_000);
    const tls = serve(asking);
    for (const dates of [{ notAfter: past }, { notBefore: future }]) {
      const odd = issue({ subject: { cn: 'odd' }, by: root, ...dates });
      const attempt = tls.talk({ ...trust, cert: odd.certificate, key: odd.key });
      expect(await failureOf(attempt)).not.toBe('none');
    }
    await eventually(() => expect(tls.count('tls_failed_certificate')).toBe(2));
  });

  test('CRLs: of the client, of a CA above it, and none for that one', async () => {
    const good = issue({ subject: { cn: 'good' }, by: middle });
    const asGood = { ...trust, cert: good.certificate + middle.certificate, key: good.key };
    const ofMiddle = revocationList(middle, [client]);
    // Node wants one of each CA in the chain.
    const ofAll = isNode() ? ofMiddle + revocationList(root, []) : ofMiddle;
    const tls = serve({ ...asking, crl: pem(ofAll) });
    await tls.talk(asGood);
    expect(await failureOf(tls.talk(withCertificate))).toMatch(/REVOKED|CERTIFICATE|ECONNRESET/i);
    // Whoever signed the clients' certificates is revoked itself.
    tls.use(tlsOptions(server, { ...asking, crl: pem(ofMiddle + revocationList(root, [middle])) }));
    expect(await failureOf(tls.talk(asGood))).not.toBe('none');
    // Without a list of the issuer nobody is let in.
    tls.use(tlsOptions(server, { ...asking, crl: pem(revocationList(root, [])) }));
    expect(await failureOf(tls.talk(asGood))).not.toBe('none');
  });
});

describe('resumption', () => {
  async function sessionOf(tls: TlsServer, options: ConnectionOptions): Promise<Buffer> {
    const socket = await tls.connect(options);
    // That of 1.2 is there with the handshake, that of 1.3 comes after it.
    const session =
      socket.getProtocol() === 'TLSv1.2'
        ? socket.getSession()
        : await new Promise<Buffer>((done) => socket.once('session', done));
    if (session === undefined) throw new Error('no session');
    const ended = once(socket, 'close');
    socket.end();
    await ended;
    return session;
  }

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '%s: also after a reload; not where trust has changed',
    async (version) => {
      const asking = { ca: pem(root.certificate), verify: 'require' } as const;
      const options = { ...withCertificate, minVersion: version, maxVersion: version } as const;
      const tls = serve(asking);
      const session = await sessionOf(tls, options);
      expect((await tls.talk({ ...options, session })).isSessionReused()).toBe(true);
      const again = issue({ subject: { cn: 'localhost' }, by: root, names: ['localhost'] });
      tls.use(tlsOptions(again, asking));
      expect((await tls.talk({ ...options, session })).isSessionReused()).toBe(true);
      expect(tls.count('tls_resumed')).toBe(2);
      tls.use(tlsOptions(server, { ...asking, crl: pem(revocationList(middle, [client])) }));
      expect(await failureOf(tls.talk({ ...options, session }))).not.toBe('none');
      expect(tls.count('tls_resumed')).toBe(2);
    },
  );
});

describe('names and protocols', () => {
  test('SNI: exact, wildcard, unknown and none', async () => {
    const one = issue({ subject: { cn: 'one' }, by: root, names: ['one.example'] });
    const any = issue({ subject: { cn: 'any' }, by: root, names: ['*.any.example'] });
    const [own] = tlsOptions(server).identities;
    const named = (names: readonly string[], { certificate, key }: typeof one) => ({
      names,
      certificate: Buffer.from(certificate),
      key: Buffer.from(key),
    });
    const identities = [named(['one.example'], one), named(['*.any.example'], any)];
    const tls = serve(own === undefined ? {} : { identities: [...identities, own] });
    const cnFor = async (servername: string) => {
      const socket = await tls.connect({
        ca: root.certificate,
        servername,
        rejectUnauthorized: false,
      });
      return socket.getPeerCertificate().subject.CN;
    };
    expect(await cnFor('one.example')).toBe('one');
    expect(await cnFor('ONE.Example')).toBe('one');
    expect(await cnFor('a.any.example')).toBe('any');
    expect(await cnFor('a.b.any.example')).toBe('localhost');
    expect(await cnFor('other.example')).toBe('localhost');
    expect(await cnFor('')).toBe('localhost');
  });

  test('ALPN: ours if offered; others as the operator says', async () => {
    const tls = serve({ alpn: ['mqtt', 'http/1.1'] });
    const chosen = async (...ALPNProtocols: string[]) =>
      (await tls.talk({ ...trust, ALPNProtocols })).alpnProtocol;
    expect(await chosen('x', 'http/1.1', 'mqtt')).toBe('mqtt');
    expect(await chosen('http/1.1')).toBe('http/1.1');
    // Node can only choose one that is offered, or send an alert.
    expect(await chosen('x')).toBe(isNode() ? 'x' : false);
    expect((await tls.talk(trust)).alpnProtocol).toBe(false);
    const strict = serve({ alpn: ['mqtt'], alpn_required: true });
    expect(await failureOf(strict.talk({ ...trust, ALPNProtocols: ['x'] }))).toMatch(
      /ALPN|PROTOCOL/i,
    );
    await strict.talk(trust);
  });
});

describe('keys', () => {
  test('an encrypted key, with the right passphrase, a wrong one, and none', async () => {
    const key = Buffer.from(encryptedKey(server, 'open sesame'));
    const identity = { names: [], certificate: Buffer.from(server.certificate), key };
    await serve({ identities: [{ ...identity, passphrase: 'open sesame' }] }).talk(trust);
    const wrong = refusalOf({ identities: [{ ...identity, passphrase: 'guess' }] });
    expect(wrong).toMatchObject({ item: 'passphrase', reason: 'does not open the key' });
    expect(wrong.message).not.toContain('guess');
    const none = refusalOf({ identities: [identity] });
    expect(none).toMatchObject({
      item: 'passphrase',
      reason: 'is missing, and the key is encrypted',
    });
  });

  test('PKCS#12, with its chain; with a wrong passphrase; and no such file', async () => {
    const leaf = issue({ subject: { cn: 'leaf' }, by: middle, names: ['localhost'] });
    const file = pkcs12(leaf, [middle], 'secret');
    const socket = await serve({
      identities: [{ names: [], pkcs12: file, passphrase: 'secret' }],
    }).talk(trust);
    expect(socket.authorized).toBe(true);
    const refused = (pkcs12: Buffer, passphrase: string) =>
      refusalOf({ identities: [{ names: [], pkcs12, passphrase }] });
    expect(refused(file, 'guess')).toMatchObject({ item: 'passphrase' });
    expect(refused(Buffer.from('no such file'), 'secret')).toMatchObject({ item: 'pkcs12' });
  });

  test('a chain behind the certificate is sent', async () => {
    const leaf = issue({ subject: { cn: 'leaf' }, by: middle, names: ['localhost'] });
    const tls = serve(tlsOptions({ ...leaf, certificate: leaf.certificate + middle.certificate }));
    expect((await tls.talk(trust)).authorized).toBe(true);
  });

  test('what is wrong is named', () => {
    const identity = (certificate: string, key: string) => ({
      identities: [{ names: [], certificate: Buffer.from(certificate), key: Buffer.from(key) }],
    });
    expect(refusalOf(identity(server.certificate, stranger.key))).toMatchObject({
      code: 'ST_NATIVE_TLS',
      item: 'key',
      index: 0,
      reason: 'does not belong to the certificate',
    });
    const expired = issue({ subject: { cn: 'old' }, notAfter: new Date(Date.now() - 1000) });
    expect(refusalOf(identity(expired.certificate, expired.key))).toMatchObject({
      item: 'certificate',
      reason: 'has expired',
    });
    const early = issue({ subject: { cn: 'early' }, notBefore: new Date(Date.now() + 3_600_000) });
    expect(refusalOf(identity(early.certificate, early.key)).reason).toMatch(/not valid yet/);
    expect(refusalOf(identity('text', server.key)).reason).toMatch(/no CERTIFICATE in PEM form/);
    expect(refusalOf(identity(server.certificate, 'text')).reason).toMatch(/no PRIVATE KEY/);
    const broken = `${root.certificate}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`;
    const line = root.certificate.split('\n').length;
    expect(refusalOf({ ca: pem(stranger.certificate, broken) })).toMatchObject({
      item: 'ca',
      index: 1,
    });
    expect(refusalOf({ ca: pem(broken) }).reason).toContain(`CERTIFICATE 2 (line ${line})`);
    expect(refusalOf({ crl: pem('') })).toMatchObject({ item: 'crl' });
    const stale = revocationList(root, [], new Date(Date.now() - 1000));
    expect(refusalOf({ crl: pem(stale) }).reason).toMatch(/has expired/);
    expect(refusalOf({ ciphers: 'NO-SUCH' })).toMatchObject({ item: 'ciphers' });
    expect(refusalOf({ ciphersuites: 'NO_SUCH' })).toMatchObject({ item: 'ciphersuites' });
    expect(refusalOf({ alpn: [''] })).toMatchObject({ item: 'alpn' });
  });
});

describe('a running listener', () => {
  test('another certificate for those who come, while those who are there stay', async () => {
    const tls = serve();
    const before = await tls.talk(trust);
    const next = issue({ subject: { cn: 'next' }, by: root, names: ['localhost'] });
    tls.use(tlsOptions(next));
    const after = await tls.talk(trust);
    expect(after.getPeerCertificate().subject.CN).toBe('next');
    before.write(Buffer.from('c000', 'hex'));
    expect(((await once(before, 'data')) as [Buffer])[0].toString('hex')).toBe('d000');
  });

  test('plain MQTT on the TLS port is closed and counted', async () => {
    const tls = serve();
    const socket = connectPlain(tls.port, '127.0.0.1');
    socket.write(Buffer.from('100c00044d5154540402000a0000', 'hex'));
    await once(socket.resume(), 'close');
    // Node's engine closes the socket before the I/O thread hears of it.
    await eventually(() => expect(tls.count('tls_failed_not_tls')).toBe(1));
    expect(tls.count('refused_tls_failed')).toBe(1);
  });

  test('a silent and a slow handshake are closed in time, and others go on', async () => {
    const tls = serve({}, { handshake_timeout_ms: 1500 });
    const good = await tls.talk(trust);
    const silent = connectPlain(tls.port, '127.0.0.1');
    const slow = connectPlain(tls.port, '127.0.0.1');
    slow.write(Buffer.from('160301', 'hex'));
    await Promise.all([once(silent.resume(), 'close'), once(slow.resume(), 'close')]);
    await eventually(() => expect(tls.count('tls_failed_unfinished')).toBe(2));
    good.write(Buffer.from('c000', 'hex'));
    expect(((await once(good, 'data')) as [Buffer])[0].toString('hex')).toBe('d000');
  });

  test('a context or a listener that is not there', () => {
    const tls = serve();
    expect(() => tls.native.setTls(tls.listener, 999)).toThrow(RangeError);
    expect(() => tls.native.setTls(999, 1)).toThrow(RangeError);
    expect(() => tls.native.setHandshakeTimeout(999, 1)).toThrow(RangeError);
  });
});
