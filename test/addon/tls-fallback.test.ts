// TLS with the system's OpenSSL, as in a runtime that exports none: all that holds with the runtime's
// own must hold with it. This file is a process of its own, so that the others keep theirs.
import { expect, test } from 'vitest';
import { loadAddon } from '../../src/native/load.js';
import { linesWith } from './tls-warnings.js';

const fallback = loadAddon().tlsFallback(true);

if (fallback === null) {
  test.skip("the system's OpenSSL (missing: libssl.so.3; on Debian or Ubuntu, apt-get install libssl3)", () =>
    undefined);
} else {
  test('it is used, and the log says so, with the reason', async () => {
    expect(fallback.version).toMatch(/^OpenSSL 3\./);
    const lines = await linesWith("TLS uses the system's");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/warn/i);
    expect(lines[0]).toContain(`the system's ${fallback.version} instead`);
    expect(lines[0]).toContain(`no ${fallback.missing}`);
  });

  await import('./tls.test.js');
  await import('./tls-broker.test.js');
  await import('./certificate-auth.test.js');
}
