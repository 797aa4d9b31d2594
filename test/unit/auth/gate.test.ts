// While authentication is turned on: CONNECTs that come meanwhile wait for it, and none is lost.
import { expect, test } from 'vitest';
import { AuthGate } from '../../../src/auth/gate.ts';
import type { AuthHandler } from '../../../src/auth/verdict.ts';
import { objectLayer } from '../../../src/config/layers.ts';
import type { ConfigTables } from '../../../src/config/options.ts';
import { resolveConfig } from '../../../src/config/resolve.ts';
import type { VerdictCommand } from '../../../src/native/commands.ts';
import { eventually } from '../../harness/eventually.ts';
import { requestOf } from './contexts.ts';

const configOf = (tables: object) => resolveConfig([objectLayer(tables as ConfigTables)]).config;
const listen = '127.0.0.1:0';
const open = configOf({ unified: { main: { name: 'main', listen } } });
const closed = configOf({
  unified: { main: { name: 'main', listen, auth: { anna: 'hunter2' } } },
});

function gateOf(handler?: AuthHandler) {
  const answers: VerdictCommand[] = [];
  const errors: unknown[] = [];
  const gate = new AuthGate({
    handler,
    methods: new Map(),
    write: () => undefined,
    onError: (error) => errors.push(error),
  });
  gate.connect({ answer: (verdict) => answers.push(verdict), ban: () => undefined });
  const codes = () => answers.map(({ connectionId, reasonCode }) => [connectionId, reasonCode]);
  return { gate, answers, errors, codes };
}

test('CONNECTs wait while it is turned on, and are judged by what is turned on', async () => {
  const { gate, codes } = gateOf();
  const prepared = await gate.prepare(closed);
  expect([prepared.isNeeded, gate.isNeeded]).toEqual([true, false]);
  gate.hold();
  const anna = requestOf({ username: 'anna', password: 'hunter2' });
  const nobody = requestOf();
  gate.judge(anna, 'main');
  gate.judge(nobody, 'main');
  await new Promise((done) => setImmediate(done));
  expect(codes()).toEqual([]);
  prepared.commit();
  await eventually(() => expect(codes()).toHaveLength(2));
  expect(new Map(codes() as [bigint, number][])).toEqual(
    new Map([
      [anna.connectionId, 0],
      [nobody.connectionId, 0x87],
    ]),
  );
  // Nobody waits any more.
  const later = requestOf({ username: 'anna', password: 'hunter2' });
  gate.judge(later, 'main');
  await eventually(() => expect(codes().at(-1)).toEqual([later.connectionId, 0]));
  gate.end();
});

test('if it is not turned on after all, each that waited may come again: 0x88, once', async () => {
  const { gate, codes } = gateOf();
  const prepared = await gate.prepare(closed);
  gate.hold();
  const requests = [requestOf(), requestOf()];
  for (const request of requests) gate.judge(request, 'main');
  prepared.discard();
  gate.release();
  expect(codes()).toEqual(requests.map(({ connectionId }) => [connectionId, 0x88]));
  gate.release();
  expect(codes()).toHaveLength(2);
  gate.end();
});

test('turned off: who had been asked about is still answered', async () => {
  let answer: (accept: boolean) => void = () => undefined;
  const { gate, codes } = gateOf(() => new Promise((done) => (answer = done)));
  (await gate.prepare(closed)).commit();
  const request = requestOf({ username: 'bert' });
  gate.judge(request, 'main');
  await new Promise((done) => setImmediate(done));
  const off = await gate.prepare(open);
  off.commit();
  answer(true);
  await eventually(() => expect(codes()).toEqual([[request.connectionId, 0]]));
  gate.end();
});

test('a certificate that cannot be read refuses its client, and nothing else ends', async () => {
  const { gate, codes, errors } = gateOf(() => true);
  (await gate.prepare(closed)).commit();
  const odd = requestOf({ der: Buffer.from('no certificate') });
  const fine = requestOf();
  gate.judge(odd, 'main');
  gate.judge(fine, 'main');
  await eventually(() => expect(codes()).toHaveLength(2));
  expect(new Map(codes() as [bigint, number][])).toEqual(
    new Map([
      [odd.connectionId, 0x88],
      [fine.connectionId, 0],
    ]),
  );
  expect(errors).toHaveLength(1);
  gate.end();
});
