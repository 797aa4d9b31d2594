// Who may read $SYS, by option and address; nobody but links may write.
import { expect, test } from 'vitest';
import { embeddingDefaults, objectLayer } from '../../../src/config/layers.ts';
import type { ListenerConfig } from '../../../src/config/resolve.ts';
import { resolveConfig } from '../../../src/config/resolve.ts';
import { linkLimits, listenerLimits, nativeListenSpec } from '../../../src/native/options.ts';

const resolve = (mqtt: object, connections: object = {}) =>
  resolveConfig([
    embeddingDefaults,
    objectLayer({ mqtt, unified: { one: { listen: '127.0.0.1:0', connections } } }),
  ]).config;
const listener = (mqtt: object, connections: object = {}): ListenerConfig => {
  const [one] = resolve(mqtt, connections).listeners;
  if (one === undefined) throw new Error('no listener');
  return one;
};

const local = ['127.0.0.1', '127.9.8.7', '::1', '::ffff:127.0.0.1', undefined];
const remote = ['0.0.0.0', '::', '192.168.1.1', '12.7.0.1', 'fe80::1', '::ffff:10.0.0.1', '::12'];

test.each([
  ['loopback', true, false],
  ['all', true, true],
  ['none', false, false],
])('sys_readers = %s', (sys_readers, onLocal, onRemote) => {
  const one = listener({ sys_readers });
  for (const address of local) {
    expect(listenerLimits(one, address).sys_read, address).toBe(onLocal);
  }
  for (const address of remote) {
    expect(listenerLimits(one, address).sys_read, address).toBe(onRemote);
  }
  for (const address of [...local, ...remote]) {
    expect(listenerLimits(one, address).sys_write).toBe(false);
  }
});

test('the default is loopback, and a listener may say otherwise', () => {
  expect(listenerLimits(listener({}), '10.0.0.1').sys_read).toBe(false);
  expect(listenerLimits(listener({}), '127.0.0.1').sys_read).toBe(true);
  const open = listener({ sys_readers: 'none' }, { sys_readers: 'all' });
  expect(listenerLimits(open, '10.0.0.1').sys_read).toBe(true);
});

test('each listening socket gets its own', () => {
  const one = listener({});
  const read = (place: Parameters<typeof nativeListenSpec>[1]) =>
    nativeListenSpec(one, place).limits.sys_read;
  expect(read({ host: '127.0.0.1', port: 1 })).toBe(true);
  expect(read({ host: '0.0.0.0', port: 1 })).toBe(false);
  expect(read({ path: '/run/mqtt.sock', mode: 0o660 })).toBe(true);
});

test('links read and write, whatever the option says', () => {
  const { mqtt } = resolve({ sys_readers: 'none' });
  expect(linkLimits(mqtt)).toMatchObject({ sys_read: true, sys_write: true });
});
