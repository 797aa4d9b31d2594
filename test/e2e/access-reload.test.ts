// Who may come in and what they may do, changed under clients that are connected: all of it or nothing.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type DetailedPeerCertificate } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.ts';
import type { LogRecord } from '../../src/log/logger.ts';
import { freePort } from './broker-process.js';
import { Client } from './mqttjs-client.js';
import { tlsFiles } from './tls-files.js';

let folder: string;
let file: string;
let broker: Broker;
let records: LogRecord[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'st-mqttd-access-'));
  file = join(folder, 'st-mqttd.toml');
  records = [];
});
afterEach(async () => {
  await broker.stop({ timeoutMs: 500 });
  rmSync(folder, { recursive: true, force: true });
});

async function start(text: string): Promise<number> {
  writeFileSync(file, text);
  broker = new Broker({ config: file });
  broker.on('log', (record) => records.push(record));
  await broker.start();
  return broker.addresses[0]?.port ?? 0;
}
function reload(text: string) {
  writeFileSync(file, text);
  return broker.reload();
}
const listener = '[unified.1]\nlisten = "127.0.0.1:0"\n';

describe('an empty list of rules in a verdict', () => {
  const rule = '[[acl.rules]]\neffect = "allow"\nfilters = ["all/#"]\n';

  test.each([
    ['no rules anywhere', listener, false, false],
    ['rules for all', listener + rule, true, false],
    ['acl.default = "allow"', `${listener}[acl]\ndefault = "allow"\n`, true, true],
  ])('%s: adds nothing, and is no missing list', async (_, text, mayAll, mayOther) => {
    writeFileSync(file, text);
    broker = new Broker({ config: file });
    broker.authenticate(({ username }) => ({
      accept: true,
      ...(username === 'empty' ? { rules: [] } : {}),
    }));
    await broker.start();
    const port = broker.addresses[0]?.port ?? 0;
    const options = { username: 'empty', password: 'x' } as const;
    const client = await Client.open(port, 5, options);
    for (const [topic, may] of [
      ['all/a', mayAll],
      ['other', mayOther],
    ] as const) {
      const publish = client.publish(topic, '1', { qos: 1 });
      await (may ? publish : expect(publish).rejects.toThrow());
    }
    // Without the key, what holds for all holds: nothing configured allows everything.
    const free = await Client.open(port, 5, { ...options, username: 'none' });
    if (!text.includes('acl')) await free.publish('other', '1', { qos: 1 });
    await Promise.all([client.close(), free.close()]);
  });
});

describe('rules', () => {
  const rule = (topic: string) => `[[acl.rules]]\neffect = "allow"\nfilters = ["${topic}"]\n`;

  test('hold at once for who is connected; wrong ones change nothing', async () => {
    const port = await start(listener + rule('a/#'));
    const client = await Client.open(port, 5);
    await client.publish('a/x', '1', { qos: 1 });
    await expect(client.publish('b/x', '1', { qos: 1 })).rejects.toThrow();
    const report = await reload(listener + rule('b/#'));
    expect(report.live.map(({ key }) => key)).toEqual(['acl.rules[0].filters']);
    await client.publish('b/x', '1', { qos: 1 });
    await expect(client.publish('a/x', '1', { qos: 1 })).rejects.toThrow();
    await expect(reload(listener + rule('c/#/d'))).rejects.toThrow(
      /:5:1: acl\.rules\[0\]\.filters/,
    );
    await client.publish('b/x', '1', { qos: 1 });
    await reload(listener);
    await client.publish('a/x', '1', { qos: 1 });
    await client.close();
  });

  test('a subscription that is no longer allowed stays, and brings only what is', async () => {
    const port = await start(listener + rule('#'));
    const source = await Client.open(port, 4);
    const keep = { clean: false, properties: { sessionExpiryInterval: 60 } };
    const live = await Client.open(port, 4);
    const away = await Client.open(port, 5, { clientId: 'away', ...keep });
    for (const client of [live, away]) await client.subscribe('t/#', 1);
    await away.close();
    const send = async (...texts: string[]) => {
      for (const text of texts) await source.publish(`t/${text[0]}`, text, { qos: 1 });
    };
    await send('a1', 'b1');
    const denied = '[[acl.rules]]\neffect = "deny"\nactions = "subscribe"\nfilters = ["t/a"]\n';
    await reload(listener + denied + rule('#'));
    await send('a2', 'b2');
    const textsOf = async (client: Client, count: number) =>
      (await client.take(count)).map(({ text }) => text);
    expect(await textsOf(live, 3)).toEqual(['a1', 'b1', 'b2']);
    await expect(live.subscribe('t/+', 1)).rejects.toThrow();
    // What waited is judged when it is sent.
    const back = await Client.open(port, 5, { clientId: 'away', ...keep });
    expect(back.sessionPresent).toBe(true);
    expect(await textsOf(back, 2)).toEqual(['b1', 'b2']);
    await reload(listener + rule('#'));
    await send('a3');
    expect([await textsOf(live, 1), await textsOf(back, 1)]).toEqual([['a3'], ['a3']]);
    await Promise.all([source, live, back].map((client) => client.close()));
  });

  test('of a file: read anew, or with its line not at all', async () => {
    const acl = join(folder, 'acl');
    writeFileSync(acl, 'topic a/#\n');
    const text = `${listener}[acl]\nfiles = ["acl"]\n`;
    const port = await start(text);
    const client = await Client.open(port, 5);
    await client.publish('a/x', '1', { qos: 1 });
    writeFileSync(acl, 'topic write b/#\n');
    expect((await reload(text)).reread).toEqual(['acl.files']);
    await client.publish('b/x', '1', { qos: 1 });
    await expect(client.publish('a/x', '1', { qos: 1 })).rejects.toThrow();
    expect((await reload(text)).reread).toEqual([]);
    writeFileSync(acl, 'topic write b/#\ntopic wirte c\n');
    const other = `${text}[mqtt]\nmax_qos = 0\n`;
    await expect(reload(other)).rejects.toThrow(`${acl}:2:1: "wirte" is none of read, write`);
    expect(broker.config.config.mqtt.max_qos).toBe(2);
    await client.publish('b/x', '1', { qos: 1 });
    await client.close();
  });
});

describe('authentication', () => {
  test('comes and goes; who is connected stays; a listener is never open before it', async () => {
    const port = await start(listener);
    const early = await Client.open(port, 5);
    const users = `${listener}[unified.1.auth]\nalice = "secret-one"\n`;
    const second = `[unified.2]\nlisten = "127.0.0.1:0"\n[unified.2.auth]\nbob = "secret-two"\n`;
    const report = await reload(users + second);
    expect(JSON.stringify([report, records])).not.toContain('secret-');
    expect(report).toMatchObject({
      listenersAdded: ['unified-2'],
      listenersChanged: ['unified-1'],
    });
    await early.publish('a', '1', { qos: 1 });
    await expect(Client.open(port, 5)).rejects.toThrow();
    const other = broker.addresses[1]?.port ?? 0;
    await expect(Client.open(other, 5)).rejects.toThrow();
    const bob = { username: 'bob', password: 'secret-two' };
    await expect(Client.open(port, 5, bob)).rejects.toThrow();
    await (await Client.open(other, 5, bob)).close();
    await (await Client.open(port, 4, { username: 'alice', password: 'secret-one' })).close();
    await reload(listener);
    await (await Client.open(port, 5)).close();
    await early.close();
  });

  test('an open listener beside a guarded one asks nobody, before and after a reload', async () => {
    const guarded = `[unified.2]\nlisten = "127.0.0.1:0"\n[unified.2.auth]\nbob = "secret-two"\n`;
    const rules =
      '[[acl.rules]]\neffect = "allow"\nfilters = ["d/%d"]\n[[acl.rules]]\nusers = ["bob"]\neffect = "allow"\nfilters = ["bob"]\n';
    const port = await start(listener + guarded + rules);
    const other = broker.addresses[1]?.port ?? 0;
    const asked = () => broker.metrics().verdicts_waited;
    const bob = { username: 'bob', password: 'secret-two' };
    const mine = await Client.open(other, 5, { ...bob, clientId: 'mine' });
    expect(asked()).toBe(1);
    const early = await Client.open(port, 5, { ...bob, clientId: 'pump' });
    // It is the device that it says it is, and nobody's user, whatever it claims.
    await early.publish('d/pump', '1', { qos: 1 });
    await expect(early.publish('d/mine', '1', { qos: 1 })).rejects.toThrow();
    await expect(early.publish('bob', '1', { qos: 1 })).rejects.toThrow();
    await mine.publish('bob', '1', { qos: 1 });
    await expect(Client.open(port, 5, { ...bob, clientId: 'mine' })).rejects.toThrow();
    expect(asked()).toBe(1);
    const alice = `${listener}[unified.1.auth]\nalice = "secret-one"\n`;
    await reload(alice + guarded + rules);
    await expect(Client.open(port, 5)).rejects.toThrow();
    expect(asked()).toBe(2);
    await early.publish('d/pump', '1', { qos: 1 });
    await reload(listener + guarded + rules);
    await (await Client.open(port, 5)).close();
    const inUse = `[unified.3]\nlisten = "127.0.0.1:${port}"\n`;
    await expect(reload(alice + guarded + inUse)).rejects.toThrow(/in use/);
    await (await Client.open(port, 5)).close();
    expect(asked()).toBe(2);
    await (await Client.open(other, 5, bob)).close();
    expect(asked()).toBe(3);
    await early.close();
    await mine.close();
  });

  test('a provider that cannot be opened changes nothing', async () => {
    const port = await start(listener);
    const missing = '[[auth.providers]]\nkind = "password_file"\npath = "none"\n';
    const taken = `[unified.2]\nlisten = "127.0.0.1:0"\n`;
    await expect(reload(`${listener}${taken}${missing}`)).rejects.toThrow(/none/);
    expect(broker.addresses).toHaveLength(1);
    await (await Client.open(port, 5)).close();
    // All else is well, but an address is in use: nobody is asked who he is.
    const inUse = `[unified.2]\nlisten = "127.0.0.1:${port}"\n`;
    const users = '[unified.1.auth]\nalice = "secret-one"\n';
    await expect(reload(listener + users + inUse)).rejects.toThrow(/in use/);
    await (await Client.open(port, 5)).close();
  });
});

describe('certificates', () => {
  const peer = (port: number, ca: string) =>
    new Promise<DetailedPeerCertificate>((done, failed) => {
      const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca }, () => {
        done(socket.getPeerCertificate(true));
        socket.destroy();
      });
      socket.on('error', failed);
    });

  test('are read anew, for new connections; a bad one keeps everything as it was', async () => {
    const files = tlsFiles(folder);
    const { trust } = files;
    const text = `${listener}[unified.1.tls]\n${files.pair}`;
    const port = await start(text);
    const first = await peer(port, trust.ca);
    const client = await Client.open(port, 5, trust);
    expect((await reload(text)).reread).toEqual([]);
    const next = files.replace();
    // By the file or by the reload, whichever is first.
    await reload(text);
    const second = await peer(port, trust.ca);
    expect(second.serialNumber).not.toBe(first.serialNumber);
    expect(Number.parseInt(second.serialNumber, 16)).toBe(next.serial);
    await client.publish('a', '1', { qos: 1 });
    writeFileSync(join(folder, 'k.pem'), 'no key');
    const other = `${text}[mqtt]\nmax_qos = 0\n`;
    await expect(reload(other)).rejects.toThrow(/listener "unified-1": .*k\.pem/);
    expect(broker.config.config.mqtt.max_qos).toBe(2);
    expect((await peer(port, trust.ca)).serialNumber).toBe(second.serialNumber);
    await client.close();
  });

  test('a listener turns to TLS and back', async () => {
    const files = tlsFiles(folder);
    const port = await freePort();
    const secure = listener.replace(':0', `:${port}`);
    await start(secure);
    const plain = await Client.open(port, 5);
    await reload(`${secure}[unified.1.tls]\n${files.pair}min_version = "1.3"\n`);
    expect(broker.addresses.map(({ port: at }) => at)).toEqual([port]);
    await expect(Client.open(port, 5)).rejects.toThrow();
    await (await Client.open(port, 5, files.trust)).close();
    await plain.publish('a', '1', { qos: 1 });
    await reload(secure);
    await (await Client.open(port, 5)).close();
    await plain.close();
  });
});
