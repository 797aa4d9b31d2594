// Who a client is: by its certificate, which device, which tenant.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ClientCertificate } from '../../../src/auth/client-certificate.ts';
import { type DeviceIdSource, deviceIdOf } from '../../../src/auth/device-id.ts';
import { CertificateIdentity } from '../../../src/auth/providers/certificate-identity.ts';
import { isFitTenant, tenantOf } from '../../../src/auth/tenant.ts';
import { contextOf } from './contexts.ts';

const load = (name: string) =>
  new ClientCertificate(
    new X509Certificate(readFileSync(join(import.meta.dirname, 'fixtures', name))).raw,
  );
// C=DE, O=Plant4, OU=Pumps, CN="pump 7"; and one whose names are made to mislead.
const plain = load('plain.pem');
const odd = load('odd.pem');

describe('a certificate', () => {
  test('has names', () => {
    expect(plain.cn).toBe('pump 7');
    expect(plain.dn).toBe('CN=pump 7,OU=Pumps,O=Plant4,C=DE');
    expect(plain.organization).toBe('Plant4');
    expect(plain.san).toEqual([
      { kind: 'email', value: 'pump7@example.org' },
      { kind: 'dns', value: 'pump7.example.org' },
      { kind: 'ip', value: '192.0.2.7' },
      { kind: 'uri', value: 'urn:pump:7' },
    ]);
  });

  test('a name cannot be taken for several, nor for another', () => {
    expect(odd.cn).toBe('a, b + c=d ü');
    expect(odd.organization).toBe('Plant, 4');
    expect(odd.dn).toBe('CN=a\\, b \\+ c=d ü,CN=first,O=Second,O=Plant\\, 4');
    expect(odd.san).toEqual([
      { kind: 'email', value: 'x@example.org' },
      { kind: 'uri', value: 'http://x.example/?a=b, DNS:evil.example' },
    ]);
  });

  test.each([
    ['cn', 'pump 7'],
    ['dn', 'CN=pump 7,OU=Pumps,O=Plant4,C=DE'],
    ['san', 'pump7@example.org'],
  ] as const)('gives the username by its %s', (which, username) => {
    const provider = new CertificateIdentity('certificate', which);
    expect(
      provider.authenticate(contextOf({ certificate: plain, username: 'root' })),
    ).toMatchObject({ kind: 'allow', accept: { username } });
    expect(provider.authenticate(contextOf({ username: 'root' })).kind).toBe('ignore');
  });
});

describe('the device id', () => {
  const of = (source: Partial<DeviceIdSource>) =>
    deviceIdOf({
      from: undefined,
      verdict: undefined,
      username: 'user',
      isAuthenticated: true,
      context: { certificate: plain },
      clientId: 'client',
      ...source,
    });
  const device = (id: string) => ({ kind: 'device', id });

  test('the verdict, else the user where there are users, else the Client Identifier', () => {
    expect(of({ verdict: 'dev' })).toEqual(device('dev'));
    expect(of({})).toEqual(device('user'));
    expect(of({ isAuthenticated: false })).toEqual(device('client'));
    // Anonymous among authenticated ones: the Client Identifier is a mere claim.
    expect(of({ username: undefined })).toEqual({ kind: 'none' });
  });

  test.each([
    ['verdict', { kind: 'none' }],
    ['username', device('user')],
    ['cert_cn', device('pump 7')],
    ['client_id', device('client')],
  ] as const)('from %s alone', (from, expected) => {
    expect(of({ from })).toEqual(expected);
  });

  test.each(['me', 'a/b', 'a+', '#', 'a\0b'])('%j has none', (verdict) => {
    expect(of({ verdict })).toEqual({ kind: 'unfit' });
  });
});

describe('the tenant', () => {
  const of = (from: Parameters<typeof tenantOf>[0]['from'], username?: string, verdict?: string) =>
    tenantOf({ from, verdict, username, context: { certificate: plain }, listener: 'hall' });

  test('of the first source that has one', () => {
    expect(of(['verdict', 'certificate'], undefined, 'v')).toBe('v');
    expect(of(['verdict', 'certificate'])).toBe('Plant4');
    expect(of(['username_prefix'], 'acme/anna')).toBe('acme');
    expect(of(['username_prefix'], '/anna')).toBeUndefined();
    expect(of(['username_suffix'], 'anna@acme')).toBe('acme');
    expect(of(['username_suffix'], 'anna@')).toBeUndefined();
    expect(of(['username_suffix', 'listener'], 'anna')).toBe('hall');
    expect(of([])).toBeUndefined();
  });

  test('an Organization that is not of letters and digits is none', () => {
    const from = ['certificate'] as const;
    const source = { from, verdict: undefined, username: undefined, listener: undefined };
    expect(tenantOf({ ...source, context: { certificate: odd } })).toBeUndefined();
    expect(tenantOf({ ...source, context: { certificate: undefined } })).toBeUndefined();
  });

  test.each(['', 'a/b', 'a.b', 'a+', '#', '$SYS', 'a b', 'a\0', 'Müller', 'x'.repeat(65)])(
    '%j is not fit',
    (tenant) => {
      expect(isFitTenant(tenant)).toBe(false);
    },
  );
  test.each(['acme', 'Plant4', 'a_b-c', 'x'.repeat(64)])('%j is fit', (tenant) => {
    expect(isFitTenant(tenant)).toBe(true);
  });
});
