// TLS in Node's own module: all that holds with the native engine must hold with it.
import { expect, test } from 'vitest';
import { tested } from '../harness/tls-engine.js';
import { linesWith } from './tls-warnings.js';

tested.engine = 'node';

test('it is used where the configuration says so, and the log says it once', async () => {
  const lines = await linesWith("Node's module tls", { broker: { tls_engine: 'node' } });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/warn/i);
  expect(lines[0]).toContain('broker.tls_engine is');
});

await import('./tls.test.js');
await import('./tls-broker.test.js');
await import('./certificate-auth.test.js');
