// The files of TLS tables: read, watched, read again; what is wrong with them in words. The native
// half is a stand-in that keeps what it was given.
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TlsConfig } from '../../../src/config/access-config.js';
import type { LogRecord } from '../../../src/log/logger.js';
import type { NativeTlsOptions } from '../../../src/native/addon.js';
import { nativeEngine } from '../../../src/tls/engine.js';
import { checkTls, TlsContexts, type TlsListener } from '../../../src/tls/tls-contexts.js';
import { eventually } from '../../harness/eventually.js';

class Native {
  readonly made = new Map<number, NativeTlsOptions>();
  readonly released: number[] = [];
  readonly sockets = new Map<number, number>();
  refusal: { item: string; index: number; reason: string } | undefined;

  tlsContext(options: NativeTlsOptions): number {
    if (this.refusal !== undefined) {
      throw Object.assign(new Error('refused'), { code: 'ST_NATIVE_TLS', ...this.refusal });
    }
    this.made.set(this.made.size + 1, options);
    return this.made.size;
  }
  setTls(listener: number, context: number): void {
    this.sockets.set(listener, context);
  }
  releaseTls(context: number): void {
    this.released.push(context);
  }
}

let folder: string;
let native: Native;
let records: LogRecord[];
let contexts: TlsContexts;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'st-mqttd-tls-'));
  native = new Native();
  records = [];
  contexts = new TlsContexts({
    engine: nativeEngine(native),
    write: (record) => records.push(record),
    watchTimes: { settleMs: 20, lookMs: 100 },
  });
  for (const name of ['cert.pem', 'key.pem', 'ca.pem']) put(name, `${name} 1`);
});
afterEach(async () => {
  await contexts.stop();
  rmSync(folder, { recursive: true, force: true });
});
const put = (name: string, text: string) => writeFileSync(join(folder, name), text);
const path = (name: string) => join(folder, name);

function listener(over: Partial<TlsConfig> = {}, transport: TlsListener['transport'] = 'mqtt') {
  const tls: TlsConfig = {
    certpath: path('cert.pem'),
    keypath: path('key.pem'),
    keypass: '',
    pkcs12path: '',
    pkcs12pass: '',
    capath: path('ca.pem'),
    crlpath: '',
    verify: 'require',
    identity: 'none',
    minVersion: '1.2',
    ciphers: '',
    ciphersuites: '',
    alpn: [],
    sni: [],
    ...over,
  };
  return { name: 'secure', tls, transport } satisfies TlsListener;
}
function messageOf(attempt: () => unknown): { code: string; message: string } {
  try {
    attempt();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('it did not fail');
}

describe('what the native half gets', () => {
  test('files, SNI, ALPN by transport, and passphrases only where there are some', () => {
    const sni = [
      {
        name: 'a.example',
        certpath: path('cert.pem'),
        keypath: path('key.pem'),
        keypass: 'secret',
      },
    ];
    contexts.placeOf('v4.1', listener({ sni }));
    const options = native.made.get(1);
    expect(options?.identities).toEqual([
      { names: [], certificate: Buffer.from('cert.pem 1'), key: Buffer.from('key.pem 1') },
      {
        names: ['a.example'],
        certificate: Buffer.from('cert.pem 1'),
        key: Buffer.from('key.pem 1'),
        passphrase: 'secret',
      },
    ]);
    expect(options?.ca).toEqual([Buffer.from('ca.pem 1')]);
    expect(options).toMatchObject({ verify: 'require', alpn: ['mqtt'], alpn_required: false });
    contexts.placeOf('ws.1', listener({}, 'websocket'));
    expect(native.made.get(2)?.alpn).toEqual(['http/1.1']);
    contexts.placeOf('v4.2', listener({ alpn: ['x'] }));
    expect(native.made.get(3)).toMatchObject({ alpn: ['x'], alpn_required: true });
  });

  test('PKCS#12 instead of certificate and key', () => {
    put('id.p12', 'bytes');
    contexts.placeOf('1', listener({ pkcs12path: path('id.p12'), pkcs12pass: 'word', capath: '' }));
    expect(native.made.get(1)?.identities).toEqual([
      { names: [], pkcs12: Buffer.from('bytes'), passphrase: 'word' },
    ]);
  });

  test('one context for all sockets of a listener; the last one takes it with it', () => {
    expect(contexts.placeOf('1', listener())).toEqual({ tls: 1, tls_outside: false });
    expect(contexts.placeOf('1', listener())).toEqual({ tls: 1, tls_outside: false });
    contexts.bind('1', 10);
    contexts.bind('1', 11);
    contexts.unbind('1', 10);
    expect(native.released).toEqual([]);
    contexts.unbind('1', 11);
    expect(native.released).toEqual([1]);
  });
});

describe('what is wrong', () => {
  test('a file that is not there, and one that may not be read', () => {
    const missing = listener({ keypath: path('none.pem') });
    expect(messageOf(() => contexts.placeOf('1', missing))).toMatchObject({
      code: 'ST_TLS_READ',
      message: `listener "secure": the key ${path('none.pem')} cannot be read: there is no such file`,
    });
    chmodSync(path('ca.pem'), 0o000);
    if (process.getuid?.() !== 0) {
      expect(messageOf(() => contexts.placeOf('1', listener())).message).toContain('may not read');
    }
  });

  test.each([
    ['key', 'does not belong to the certificate', 'key.pem'],
    ['certificate', 'has expired', 'cert.pem'],
    ['ca', 'has no CERTIFICATE in PEM form', 'ca.pem'],
    ['passphrase', 'does not open the key', 'key.pem'],
  ])('%s', (item, reason, file) => {
    native.refusal = { item, index: 0, reason };
    const keypass = 'do not tell';
    const { code, message } = messageOf(() => contexts.placeOf('1', listener({ keypass })));
    expect(code).toBe('ST_TLS_ITEM');
    expect(message).toContain(`${path(file)} ${reason}; `);
    expect(message).not.toContain(keypass);
  });

  test('no OpenSSL, and a list of ciphers', () => {
    native.refusal = { item: 'openssl', index: 0, reason: 'no SSL_new' };
    expect(messageOf(() => contexts.placeOf('1', listener())).code).toBe('ST_TLS_UNAVAILABLE');
    native.refusal = { item: 'ciphers', index: 0, reason: 'no cipher match' };
    const failed = messageOf(() => checkTls(listener(), (options) => native.tlsContext(options)));
    expect(failed.message).toBe(
      'listener "secure": the list of ciphers (TLS 1.2) no cipher match; ' +
        'see `openssl ciphers -v` for the names',
    );
  });
});

describe('files that change', () => {
  const current = () => native.made.get(native.sockets.get(10) ?? 0)?.identities[0];

  test('one that is written, and one that is replaced by a rename', async () => {
    contexts.placeOf('1', listener());
    contexts.bind('1', 10);
    put('cert.pem', 'cert.pem 2');
    await eventually(() =>
      expect(current()).toMatchObject({ certificate: Buffer.from('cert.pem 2') }),
    );
    put('new.pem', 'cert.pem 3');
    renameSync(path('new.pem'), path('cert.pem'));
    await eventually(() =>
      expect(current()).toMatchObject({ certificate: Buffer.from('cert.pem 3') }),
    );
    expect(records.every(({ level }) => level === 'info')).toBe(true);
    expect(native.released.length).toBe(native.made.size - 1);
  });

  test('a Kubernetes secret: the folder behind the links is another one', async () => {
    for (const version of ['1', '2']) {
      mkdirSync(path(`..${version}`));
      for (const name of ['tls.crt', 'tls.key']) put(`..${version}/${name}`, `${name} ${version}`);
    }
    symlinkSync('..1', path('..data'));
    symlinkSync('..data/tls.crt', path('tls.crt'));
    symlinkSync('..data/tls.key', path('tls.key'));
    contexts.placeOf('1', listener({ certpath: path('tls.crt'), keypath: path('tls.key') }));
    contexts.bind('1', 10);
    symlinkSync('..2', path('..data_tmp'));
    renameSync(path('..data_tmp'), path('..data'));
    await eventually(() =>
      expect(current()).toMatchObject({
        certificate: Buffer.from('tls.crt 2'),
        key: Buffer.from('tls.key 2'),
      }),
    );
  });

  test('a wrong one changes nothing and is said; the next right one is taken', async () => {
    contexts.placeOf('1', listener());
    contexts.bind('1', 10);
    native.refusal = { item: 'key', index: 0, reason: 'does not belong to the certificate' };
    put('cert.pem', 'cert.pem 2');
    await eventually(() => expect(records).toHaveLength(1));
    expect(records[0]).toMatchObject({ level: 'error', module: 'listener' });
    expect(records[0]?.text).toMatch(
      /key\.pem does not belong to the certificate; .*; new connections/,
    );
    expect(native.sockets.size).toBe(0);
    native.refusal = undefined;
    put('key.pem', 'key.pem 2');
    await eventually(() => expect(current()).toMatchObject({ key: Buffer.from('key.pem 2') }));
  });

  test('SIGHUP reads all again; a file that is gone then leaves what was', () => {
    contexts.placeOf('1', listener());
    contexts.bind('1', 10);
    // The same again: clients could not resume their sessions.
    contexts.reload('SIGHUP');
    expect(native.sockets.size).toBe(0);
    expect(contexts.prepare('1', listener()).isChanged).toBe(false);
    put('cert.pem', 'cert.pem 2');
    contexts.reload('SIGHUP');
    expect(native.sockets.get(10)).toBe(2);
    unlinkSync(path('key.pem'));
    contexts.reload('SIGHUP');
    expect(native.sockets.get(10)).toBe(2);
    expect(records.map(({ level }) => level)).toEqual(['info', 'error']);
  });

  test('another configuration: all or nothing', () => {
    contexts.placeOf('1', listener());
    contexts.bind('1', 10);
    expect(() => contexts.prepare('1', listener({ certpath: path('none') }))).toThrow(
      /no such file/,
    );
    expect(native.sockets.size).toBe(0);
    contexts.prepare('1', listener({ verify: 'optional' })).drop();
    expect(native.sockets.size).toBe(0);
    expect(native.released).toEqual([2]);
    contexts.prepare('1', listener({ verify: 'optional' })).take();
    expect(native.made.get(native.sockets.get(10) ?? 0)?.verify).toBe('optional');
  });
});
