// `st-mqttd ctl` against the console's real routes, on a fake registry.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { client, logRow, offline, retained, subscription } from '../../console/fake.ts';
import { closeAll, runConsole, runCtl, serve } from './running.ts';

afterEach(closeAll);

const lines = (text: string) => text.trimEnd().split('\n');

describe('clients', () => {
  test('a table of all, aligned, with headings', async () => {
    const { deps, ctl } = await runConsole();
    deps.registry.rows = [
      client('a', { subscriptions: 5, username: 'anna' }),
      client('a-longer-name', { ...offline, protocolVersion: undefined, queuedMessages: 12 }),
    ];
    const { code, output, complaints } = await ctl(['clients']);
    expect({ code, complaints }).toEqual({ code: 0, complaints: '' });
    const [head = '', first = '', second = ''] = lines(output);
    expect(head).toMatch(
      /^CLIENT +INST +STATE +ADDRESS +LISTENER +MQTT +USER +SINCE +SUBS +QUEUED/,
    );
    expect(first).toMatch(
      /^a +connected +127\.0\.0\.1:52110 +unified-1 +5\.0 +anna +2023-11-14T22:13:20Z +5 +0/,
    );
    expect(second).toMatch(/^a-longer-name +offline +2023-11-14T22:13:21Z +0 +12/);
    expect(second.indexOf('offline')).toBe(head.indexOf('STATE'));
  });

  test('are filtered by the console', async () => {
    const { deps, ctl } = await runConsole();
    deps.registry.rows = [
      client('dev-1', { queuedMessages: 3 }),
      client('dev-2', offline),
      client('other', { queuedMessages: 9 }),
    ];
    const ids = async (...where: string[]) => {
      const { output } = await ctl(['clients', 'list', '--json', ...where]);
      return output === ''
        ? []
        : lines(output).map((line) => (JSON.parse(line) as { clientid: string }).clientid);
    };
    expect(await ids('clientid=dev-*')).toEqual(['dev-1', 'dev-2']);
    expect(await ids('clientid~v-1')).toEqual(['dev-1']);
    expect(await ids('connected=false')).toEqual(['dev-2']);
    expect(await ids('mqueue_len>=4')).toEqual(['other']);
    expect(await ids('mqueue_len<=3', 'connected=true')).toEqual(['dev-1']);
    expect(await ids('clientid=none')).toEqual([]);
    const unknown = await ctl(['clients', 'colour=red']);
    expect(unknown).toMatchObject({ code: 1, output: '' });
    expect(unknown.complaints).toContain('query: colour is not known here');
  });

  test('100,000 of them are written as they come', async () => {
    const { deps, ctl } = await runConsole();
    deps.registry.rows = Array.from({ length: 100_000 }, (_, index) => client(`client-${index}`));
    let largest = 0;
    let writes = 0;
    let pagesAtFirstWrite = 0;
    const { code, output } = await ctl(['clients'], {
      onWrite: (text) => {
        if (writes++ === 0) pagesAtFirstWrite = deps.registry.pages;
        largest = Math.max(largest, text.length);
      },
    });
    expect(code).toBe(0);
    expect(lines(output)).toHaveLength(100_001);
    expect(new Set(lines(output).map((line) => line.split(' ')[0])).size).toBe(100_001);
    expect(largest).toBeLessThan(100_000);
    // It had not read to the end when it began to write.
    expect(pagesAtFirstWrite).toBeLessThan(deps.registry.pages / 2);
  });

  test('--limit ends the listing', async () => {
    const { deps, ctl } = await runConsole();
    deps.registry.rows = Array.from({ length: 5000 }, (_, index) => client(`client-${index}`));
    const { code, output } = await ctl(['clients', '--limit', '3', '--json']);
    expect(code).toBe(0);
    expect(lines(output)).toHaveLength(3);
    expect((await ctl(['clients', '--limit', '0'])).code).toBe(2);
  });

  test('one in detail; one that is not there', async () => {
    const { deps, ctl } = await runConsole();
    deps.registry.rows = [client('a/b c', { hasWill: true })];
    deps.registry.details.set('a/b c', {
      will: { topic: 'gone', qos: 1, retain: true, payloadBytes: 3, delay: 5 },
      window: [
        { packetId: 7, direction: 'out', qos: 2, state: 'pubrec', topic: 'x/y', payloadBytes: 9 },
      ],
    });
    const { code, output } = await ctl(['clients', 'show', 'a/b c']);
    expect(code).toBe(0);
    expect(output).toMatch(/^clientid +a\/b c$/m);
    expect(output).toMatch(/^will\n {2}topic +gone$/m);
    expect(output).toMatch(/^ +7 +out +2 +pubrec +x\/y +9$/m);
    const none = await ctl(['clients', 'show', 'nobody']);
    expect(none).toEqual({
      code: 1,
      output: '',
      complaints: 'st-mqttd ctl: looking at client "nobody": there is no session of "nobody"\n',
    });
  });

  test('filters with a log: listed, deleted', async () => {
    const { ctl, deps } = await runConsole();
    deps.registry.logRows = [logRow('a/b'), logRow('c/#', { initialized: true })];
    const { code, output } = await ctl(['filters']);
    expect(code).toBe(0);
    expect(output).toMatch(/^a\/b +2 +20 +1 +3 +1 /m);
    expect(output).toMatch(/^c\/# \(initialized\) +2 /m);
    expect((await ctl(['filters', 'delete', 'a/b'])).code).toBe(0);
    expect((await ctl(['filters', 'delete', 'a/b'])).complaints).toContain('"a/b" has no log');
    expect(deps.registry.logRows.map(({ filter }) => filter)).toEqual(['c/#']);
  });

  test('devices: listed with their gateways', async () => {
    const { ctl } = await runConsole();
    const { code, output } = await ctl(['devices']);
    expect(code).toBe(0);
    expect(output).toMatch(/^DEVICE +TENANT +STATE/);
    expect(output).toMatch(/Boiler 1 .* online .* gw-1/);
  });

  test('denials: a table, or an object per line; those of one client', async () => {
    const { ctl, deps } = await runConsole();
    const none = {
      at: 1_767_225_600_000,
      username: '',
      action: 'PUBLISH',
      rule: 'rule 3',
    } as const;
    deps.registry.denialRows = [
      { ...none, clientId: 'pump-1', topic: 'plant/x' },
      { ...none, clientId: 'pump-2', username: 'eve\u001b[31m', topic: '#', action: 'SUBSCRIBE' },
    ];
    const { code, output } = await ctl(['denials']);
    expect(code).toBe(0);
    expect(output).toMatch(/^AT +CLIENT +USER +ACTION +TOPIC +RULE\n/);
    expect(output).toMatch(/ pump-1 +PUBLISH +plant\/x +rule 3$/m);
    expect(output).not.toContain('\u001b');
    const one = await ctl(['denials', 'clientid=pump-2', '--json']);
    expect(lines(one.output).map((line) => JSON.parse(line))).toMatchObject([
      { clientid: 'pump-2', action: 'SUBSCRIBE', topic: '#', rule: 'rule 3' },
    ]);
    expect(lines((await ctl(['denials', '--limit', '1', '--json'])).output)).toHaveLength(1);
    expect((await ctl(['denials', 'nonsense'])).code).toBe(2);
  });

  test('bans: made, listed, taken back', async () => {
    const { ctl } = await runConsole();
    expect((await ctl(['bans'])).code).toBe(0);
    expect((await ctl(['ban', 'address', '10.0.0.0/8', '--reason', 'loud'])).code).toBe(0);
    const { code, output } = await ctl(['bans', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(output)).toMatchObject({ kind: 'address', value: '10.0.0.0/8' });
    expect((await ctl(['unban', 'address', '10.0.0.0/8'])).code).toBe(0);
    expect((await ctl(['bans', '--json'])).output).toBe('');
  });

  test('kick and end', async () => {
    const { deps, ctl } = await runConsole();
    deps.registry.rows = [client('a'), client('b')];
    expect(await ctl(['clients', 'kick', 'a', '--reason', 'tidy up'])).toMatchObject({
      code: 0,
      output: 'closed\n',
    });
    expect(deps.registry.kicked).toEqual([['a', 0x98, 'tidy up']]);
    expect((await ctl(['clients', 'kick', 'c'])).complaints).toContain('"c" is not connected');
    expect((await ctl(['clients', 'end', 'b'])).output).toBe('ended\n');
    expect(deps.registry.ended).toEqual(['b']);
    expect(deps.registry.instances).toEqual([undefined, undefined]);
  });

  test('of several connections of one Client Identifier', async () => {
    const { deps, ctl } = await runConsole();
    deps.registry.rows = [client('a'), client('a', { instance: 12 })];
    deps.registry.subs = [subscription('a', 'first'), { ...subscription('a', 'x'), instance: 12 }];
    const table = lines((await ctl(['clients'])).output);
    expect(table[1]).toMatch(/^a +connected /);
    expect(table[2]).toMatch(/^a +12 +connected /);
    expect((await ctl(['clients', 'show', 'a', '--instance', '12'])).output).toMatch(
      /^instance +12$/m,
    );
    const of = await ctl(['subscriptions', '--client', 'a', '--instance', '12']);
    expect(lines(of.output)[1]).toMatch(/^a +12 +x +1/);
    expect((await ctl(['clients', 'kick', 'a', '--instance', '3'])).code).toBe(1);
    expect((await ctl(['clients', 'kick', 'a', '--instance', '12'])).output).toBe('closed\n');
    expect((await ctl(['unsubscribe', 'a', 'x', '--instance', '12'])).code).toBe(0);
    expect((await ctl(['clients', 'end', 'a', '--instance', '0'])).output).toBe('ended\n');
    expect(deps.registry.instances).toEqual([12, 12, 0]);
    await ctl(['write', 'on', 't', 'x', '--instance', '2']);
    expect(deps.written[0]?.options).toMatchObject({ instance: 2 });
    expect((await ctl(['clients', 'kick', 'a', '--instance', 'x'])).code).toBe(2);
    expect((await ctl(['subscriptions', '--instance', '1'])).code).toBe(2);
  });
});

describe('text of clients', () => {
  const evil = 'a\u001b[2J\u009b\u202e\nb';

  test('moves no cursor in tables, details, errors or JSON', async () => {
    const { deps, ctl } = await runConsole();
    deps.registry.rows = [client(evil)];
    for (const args of [
      ['clients'],
      ['clients', 'show', evil],
      ['clients', '--json'],
      ['clients', 'show', `${evil}?`],
    ]) {
      const { output, complaints } = await ctl(args);
      expect(output + complaints).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
    }
    expect(lines((await ctl(['clients'])).output)).toHaveLength(2);
    const { output } = await ctl(['clients', '--json']);
    expect((JSON.parse(output) as { clientid: string }).clientid).toBe(evil);
  });
});

describe('on a terminal', () => {
  test('lines are cut to its width, wide characters counted as two', async () => {
    const { deps, ctl } = await runConsole();
    deps.registry.subs = [
      subscription('x'.repeat(70), `plant/${'long/'.repeat(20)}#`),
      subscription('温度计一号', 'a'),
    ];
    const { output } = await ctl(['subscriptions'], { width: 60 });
    const [head = '', first = '', second = ''] = lines(output);
    expect(first.length).toBeLessThanOrEqual(60);
    expect(first).toMatch(/^x+… +plant\/[a-z/]*… +1$/);
    // Five characters in ten columns.
    expect(second.indexOf('a') + 5).toBe(head.indexOf('FILTER'));
    const whole = await ctl(['subscriptions']);
    expect(whole.output).toContain('x'.repeat(70));
  });
});

test('subscriptions of all and of one; who gets a topic', async () => {
  const { deps, ctl } = await runConsole();
  deps.registry.rows = [client('a'), client('b')];
  deps.registry.subs = [
    subscription('a', 'plant/#'),
    { ...subscription('b', '$share/g/plant/1'), noLocal: true, subscriptionId: 4 },
  ];
  expect(lines((await ctl(['subscriptions'])).output)).toHaveLength(3);
  const one = await ctl(['subscriptions', '--client', 'b']);
  expect(lines(one.output)[1]).toMatch(/^b +\$share\/g\/plant\/1 +1 +g +no-local id=4$/);
  expect((await ctl(['subscriptions', '--client', 'c'])).code).toBe(1);
  expect(lines((await ctl(['routes', 'plant/1'])).output)).toHaveLength(3);
  expect(lines((await ctl(['routes', 'plant/2'])).output)).toHaveLength(2);
});

test('retained: list, get to the byte, delete', async () => {
  const { deps, ctl } = await runConsole();
  const bytes = Buffer.from([0, 255, 10, 13]);
  deps.registry.messages = [retained('a/b', Buffer.from('plain ä')), retained('a/c', bytes)];
  const { output } = await ctl(['retained']);
  expect(output).toContain('plain ä');
  expect(output).toContain('base64:AP8KDQ==');
  expect(lines((await ctl(['retained', 'list', 'a/c'])).output)).toHaveLength(2);
  expect((await ctl(['retained', 'a/+'])).code).toBe(0);
  expect((await ctl(['retained', 'get', 'a/c'])).output).toBe(bytes.toString('latin1'));
  expect((await ctl(['retained', 'delete', 'a/c'])).output).toBe('deleted\n');
  expect((await ctl(['retained', 'get', 'a/c'])).complaints).toContain('nothing is retained');
});

test('write: one outcome, and nothing but delivered or queued is done', async () => {
  const { ctl, deps } = await runConsole();
  expect(await ctl(['write', 'on', 'a/b', 'hello', '--qos', '1'])).toMatchObject({
    code: 0,
    output: 'delivered\n',
  });
  expect(deps.written[0]).toMatchObject({ clientId: 'on', topic: 'a/b', payload: 'hello' });
  expect(deps.written[0]?.options).toMatchObject({ qos: 1, queue: false });
  expect(await ctl(['write', 'away', 'a', 'x', '--queue'])).toMatchObject({ code: 0 });
  const gone = await ctl(['write', 'away', 'a', 'x']);
  expect(gone).toMatchObject({ code: 1, output: 'dropped: not_connected\n' });
  expect(await ctl(['write', 'slow', 'a', 'x'])).toMatchObject({ code: 1, output: 'timed_out\n' });
  expect(await ctl(['write', 'on', 'a'])).toMatchObject({ code: 2 });
});

test('publish, subscribe, unsubscribe', async () => {
  const { deps, ctl } = await runConsole();
  deps.registry.rows = [client('a')];
  deps.registry.subs = [subscription('a', 'x')];
  expect((await ctl(['publish', 't', 'hello', '--qos', '1', '--retain'])).output).toMatch(
    /^t: 0x00 Success$/m,
  );
  expect(deps.published[0]).toMatchObject({
    topic: 't',
    payload: 'hello',
    options: { qos: 1, retain: true, clientId: undefined },
  });
  const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-ctl-'));
  try {
    const file = join(folder, 'payload');
    writeFileSync(file, 'from a file\n');
    expect((await ctl(['publish', 't', '--file', file])).code).toBe(0);
    expect(deps.published[1]?.payload).toBe('from a file\n');
    expect((await ctl(['publish', 't', '--file', `${file}?`])).code).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect((await ctl(['publish', 't'])).code).toBe(2);
  expect((await ctl(['publish', 't', 'x', '--file', 'y'])).code).toBe(2);
  expect((await ctl(['publish', 't/#', 'x'])).code).toBe(1);
  expect((await ctl(['publish', 't', 'x', '--qos', '3'])).code).toBe(2);
  expect((await ctl(['subscribe', 'a', 'x/#', '--qos', '2'])).output).toMatch(/^x\/#: 0x02 /);
  const partly = await ctl(['subscribe', 'a', 'fine', 'refused/x']);
  expect(partly.code).toBe(1);
  expect(partly.output).toMatch(/^fine: 0x00 .*\nrefused\/x: 0x87 Not authorized\n$/);
  expect((await ctl(['unsubscribe', 'a', 'x'])).code).toBe(0);
});

test('status, metrics, log, config, reload', async () => {
  const { deps, ctl } = await runConsole();
  const status = await ctl(['status']);
  expect(status.output).toMatch(/^broker +st-mqttd\/0\.1\.0, node 3/m);
  expect(status.output).toMatch(/^listeners +one 127\.0\.0\.1:1883$/m);
  expect(JSON.parse((await ctl(['status', '--json'])).output)).toMatchObject({
    broker: { node_id: 3 },
    stats: { 'sessions.count': 0 },
  });
  expect((await ctl(['metrics', 'bytes_'])).output).toMatch(/^bytes_received +0$/m);
  expect((await ctl(['metrics', '--prometheus'])).output).toBe('# TYPE up gauge\nup 1\n');
  expect((await ctl(['log'])).output).toBe('warn\n');
  expect((await ctl(['log', 'set', 'info,auth=debug'])).output).toBe('info,auth=debug\n');
  expect(deps.filter).toBe('info,auth=debug');
  expect((await ctl(['log', 'set', '=='])).code).toBe(1);
  expect((await ctl(['config'])).output).toMatch(/^mqtt\.max_qos +2 +default +/m);
  const changed = await ctl(['config', 'show', '--changed']);
  expect(changed.output).not.toContain('mqtt.max_qos');
  expect((await ctl(['config', '--json'])).output).not.toContain('very-secret');
  expect((await ctl(['config', 'set', 'mqtt.max_qos=1', 'log.level=info'])).code).toBe(0);
  expect(deps.patches).toEqual([{ mqtt: { max_qos: 1 }, log: { level: 'info' } }]);
  expect((await ctl(['config', 'set', 'max_qos=1'])).code).toBe(2);
  expect((await ctl(['reload'])).output).toBe('in effect: log.level: warn → info\n');
  expect(deps.reloads).toBe(1);
});

describe('the token', () => {
  const tokens = [{ name: 'ops', role: 'read', token: 'very-secret-token' }] as const;

  test('from flag, file or environment; never shown', async () => {
    const { ctl } = await runConsole(tokens);
    const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-ctl-'));
    try {
      const file = join(folder, 'token');
      writeFileSync(file, 'very-secret-token\n');
      expect((await ctl(['status', '--token', `file:${file}`])).code).toBe(0);
      const missing = await ctl(['status', '--token', `file:${file}?`]);
      expect(missing.code).toBe(2);
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect((await ctl(['status', '--token', 'very-secret-token'])).code).toBe(0);
    const environment = { ST_MQTTD_CONSOLE_TOKEN: 'very-secret-token' };
    expect((await ctl(['status'], { environment })).code).toBe(0);
    const refused = await ctl(['reload'], { environment });
    expect(refused.code).toBe(1);
    const wrong = await ctl(['status', '--token', 'another-secret']);
    expect(wrong.code).toBe(1);
    expect(wrong.complaints).toContain('does not know this token');
    const none = await ctl(['status']);
    expect(none.complaints).toContain('--token file:PATH');
    const odd = await ctl(['status', '--token', 'secret\nwith: header']);
    expect(odd.code).toBe(2);
    for (const { output, complaints } of [refused, wrong, none, odd]) {
      expect(output + complaints).not.toContain('secret');
    }
  });
});

describe('what is not a console', () => {
  test('nothing there', async () => {
    const outcome = await runCtl(['status', '--url', 'http://127.0.0.1:1']);
    expect(outcome.code).toBe(1);
    expect(outcome.complaints).toMatch(/127\.0\.0\.1:1: (ECONNREFUSED|bad port).*\[console\]/);
    const environment = { ST_MQTTD_CONSOLE_URL: 'http://127.0.0.1:2' };
    expect((await runCtl(['status'], { environment })).complaints).toContain('127.0.0.1:2');
  });

  test.each([
    ['a page', 200, 'text/html', '<html>'],
    ['its 404', 404, 'text/html', '<html>'],
    ['a redirect', 302, 'text/plain', ''],
    ['no JSON', 200, 'application/json', '{"a":'],
    ['a number', 200, 'application/json', '5'],
  ])('%s', async (_, status, type, body) => {
    const url = await serve((_request, response) => {
      response.writeHead(status, { 'content-type': type, location: 'http://127.0.0.1:1/' });
      response.end(body);
    });
    for (const command of ['status', 'clients']) {
      const { code, complaints } = await runCtl([command, '--url', url]);
      expect(code).toBe(1);
      expect(complaints).toMatch(/is not the console|cannot reach/);
      expect(lines(complaints)).toHaveLength(1);
    }
  });

  test('a listing that breaks off says so, after what it had', async () => {
    const rows = '{"clientid":"a"}\n{"clientid":"b"}\n';
    const answer = (end: string, destroy: boolean) =>
      serve((_request, response) => {
        response.writeHead(200, { 'content-type': 'application/x-ndjson' });
        response.write(rows + end, () => {
          if (destroy) response.destroy();
          else response.end();
        });
      });
    const run = async (end: string, destroy = false) =>
      runCtl(['clients', '--json', '--url', await answer(end, destroy)]);
    expect((await run('{"next":null}\n')).code).toBe(0);
    for (const outcome of [
      await run(''),
      await run('', true),
      await run('{"error":{"code":"stopping","message":"the broker is stopping"}}\n'),
      await run('nonsense\n'),
    ]) {
      expect(outcome.code).toBe(1);
      expect(lines(outcome.output)).toHaveLength(2);
      expect(lines(outcome.complaints)).toHaveLength(1);
    }
  });
});
