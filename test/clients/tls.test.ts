// TLS and mTLS as others see them: mosquitto's clients, openssl s_client, and a scanner.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BrokerProcess, standIn, startProcess } from '../e2e/broker-process.js';
import { kCure, missing, publish, Subscriber } from './mosquitto.js';
import { type Result, run, which } from './programs.js';
import { makeSite, type Site } from './site.js';

const openssl = which('openssl');
// `npm run test:clients` installs it.
const sslyze = process.env.STMQTTD_SSLYZE;

let broker: BrokerProcess;
let site: Site;

describe.skipIf(standIn)('TLS', () => {
  beforeAll(async () => {
    site = await makeSite();
    broker = await startProcess(site.configuration);
  });
  afterAll(async () => {
    await broker?.stop();
    site?.remove();
  });

  const mosquitto = missing ? `mosquitto's clients (missing: ${kCure})` : "mosquitto's clients";
  describe.skipIf(missing)(mosquitto, () => {
    /** `name`: whose certificate is shown; none = nobody's. */
    const to = (port: number, name?: string, ca = site.caFile) => {
      const { cert, key } = site.files(name ?? '');
      const shown = name === undefined ? [] : ['--cert', cert, '--key', key];
      return ['-h', 'localhost', '-p', `${port}`, '--cafile', ca, ...shown];
    };

    test.each(['mqttv31', 'mqttv311', 'mqttv5'])('%s: there and back', async (version) => {
      const where = [...to(site.ports.tls), '-V', version];
      const topic = `tls/${version}`;
      const subscriber = await Subscriber.start([...where, '-t', topic, '-q', '2']);
      const large = 'x'.repeat(300_000);
      writeFileSync(join(site.folder, 'large'), large);
      for (const what of [
        ['-m', 'small'],
        ['-f', join(site.folder, 'large')],
      ]) {
        const result = await publish([...where, '-t', topic, '-q', '2', ...what]);
        expect(result).toMatchObject({ code: 0, stderr: '' });
      }
      const messages = await subscriber.take(2);
      expect(messages.map(({ payload }) => payload)).toEqual(['small', large]);
      await subscriber.end();
    });

    test.each(['--tls-version tlsv1.2', '--tls-version tlsv1.3'])('%s', async (how) => {
      const result = await publish([...to(site.ports.tls), ...how.split(' '), '-t', 't', '-n']);
      expect(result).toMatchObject({ code: 0, stderr: '' });
    });

    test("a client does not trust another CA's server", async () => {
      const other = join(site.folder, 'other-ca.pem');
      const result = await publish([...to(site.ports.tls, undefined, other), '-t', 't', '-n']);
      expect(result.code).not.toBe(0);
      expect(result.stderr).toMatch(/certificate verify failed|TLS/i);
    });

    test.each([
      ['no certificate', undefined],
      ['a certificate of another CA', 'stranger'],
      ['a revoked certificate', 'revoked'],
    ])('%s does not come in where one is required', async (_title, name) => {
      const result = await publish([
        ...to(site.ports.mtls, name),
        '-t',
        'devices/device-1/x',
        '-n',
      ]);
      expect(result.code).not.toBe(0);
    });

    test('a certificate is its user: rules know it by its name', async () => {
      const subscriber = await Subscriber.start([
        ...to(site.ports.mtls, 'device-1'),
        ...['-t', 'devices/device-1/#', '-q', '1', '-V', 'mqttv5'],
      ]);
      const from = (name: string, topic: string) =>
        publish([...to(site.ports.mtls, name), '-V', 'mqttv5', '-t', topic, '-m', name, '-q', '1']);
      const foreign = await from('device-2', 'devices/device-1/state');
      expect(foreign.stderr).toMatch(/not authori[sz]ed/i);
      expect((await from('device-1', 'devices/device-1/state')).stderr).toBe('');
      expect((await subscriber.take(1)).map(({ payload }) => payload)).toEqual(['device-1']);
      expect(subscriber.messages).toHaveLength(1);
      await subscriber.end();
    });
  });

  describe.skipIf(openssl === undefined)('openssl s_client', () => {
    const client = (args: readonly string[], input = ''): Promise<Result> =>
      run(openssl ?? '', ['s_client', '-connect', `localhost:${site.ports.tls}`, ...args], {
        input,
      });
    const trusting = () => ['-CAfile', site.caFile, '-verify_return_error'];

    test.each([
      ['-tls1_2', 'TLSv1.2'],
      ['-tls1_3', 'TLSv1.3'],
    ])('%s is spoken, with forward secrecy', async (flag, version) => {
      const { stdout } = await client([flag, ...trusting()]);
      expect(stdout).toContain('Verify return code: 0 (ok)');
      expect(stdout).toMatch(new RegExp(`${version}, Cipher is (ECDHE|TLS_)`));
      expect(stdout).toContain('Secure Renegotiation IS');
      expect(stdout).toMatch(/Compression: NONE/);
    });

    test.each(['-tls1', '-tls1_1'])('%s is not spoken', async (flag) => {
      const { stdout } = await client([flag, '-cipher', 'ALL:@SECLEVEL=0']);
      expect(stdout).toMatch(/Cipher is \(NONE\)/);
    });

    test.each(['-tls1_2', '-tls1_3'])('%s: a session is resumed', async (flag) => {
      const file = join(site.folder, `session${flag}`);
      // TLS 1.3 sends its tickets behind the handshake: an answered CONNECT makes the client read on.
      const packet = join(site.folder, 'connect');
      writeFileSync(packet, '\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01s', 'latin1');
      const script = '(cat "$1"; sleep 1) | "$0" s_client -connect "$2" "$3" -sess_out "$4"';
      const first = await run('sh', [
        ...['-c', script, openssl ?? '', packet],
        ...[`localhost:${site.ports.tls}`, flag, file],
      ]);
      expect(existsSync(file) ? readFileSync(file, 'utf8') : first.stderr).toContain('SESSION');
      const { stdout } = await client([flag, '-sess_in', file]);
      expect(stdout).toContain('Reused, ');
    });

    test.each([
      ['localhost', 'CN = localhost'],
      ['plant.example', 'CN = plant'],
      ['nobody.example', 'CN = localhost'],
    ])('the certificate for %s', async (name, subject) => {
      const { stdout } = await client(['-servername', name]);
      expect(stdout).toContain(`subject=${subject}`);
    });
  });

  describe.skipIf(sslyze === undefined)('sslyze finds nothing', () => {
    test('in protocols, ciphers and known attacks', async () => {
      const file = join(site.folder, 'scan.json');
      const result = await run(
        sslyze ?? '',
        [`--json_out=${file}`, `localhost:${site.ports.tls}`],
        {
          timeoutMs: 120_000,
        },
      );
      expect(existsSync(file) ? '' : result.stdout + result.stderr).toBe('');
      const { scan_result: found } = JSON.parse(readFileSync(file, 'utf8')).server_scan_results[0];
      for (const old of ['ssl_2_0', 'ssl_3_0', 'tls_1_0', 'tls_1_1']) {
        expect(found[`${old}_cipher_suites`].result.accepted_cipher_suites).toEqual([]);
      }
      const suites = found.tls_1_2_cipher_suites.result.accepted_cipher_suites;
      expect(suites.length).toBeGreaterThan(0);
      for (const { cipher_suite: suite } of suites) {
        expect(suite.name).toMatch(/^TLS_ECDHE_.*(GCM_SHA|POLY1305)/);
      }
      expect(found.tls_1_3_cipher_suites.result.accepted_cipher_suites.length).toBeGreaterThan(0);
      expect(found.heartbleed.result.is_vulnerable_to_heartbleed).toBe(false);
      expect(found.openssl_ccs_injection.result.is_vulnerable_to_ccs_injection).toBe(false);
      expect(found.robot.result.robot_result).toMatch(/^NOT_VULNERABLE/);
      expect(found.tls_compression.result.supports_compression).toBe(false);
      expect(found.session_renegotiation.result).toMatchObject({
        supports_secure_renegotiation: true,
        is_vulnerable_to_client_renegotiation_dos: false,
      });
      expect(found.tls_fallback_scsv.result.supports_fallback_scsv).toBe(true);
    }, 130_000);
  });
});
