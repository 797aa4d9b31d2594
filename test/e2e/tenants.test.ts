// Two tenants and MQTT.js: each path by which one could see, guess, retain into, will into, share
// into or take over what is the other's; in both modes, from each source of a tenant, MQTT 3.1.1 and 5.0.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IClientOptions } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker.ts';
import { issue } from '../harness/certificates.js';
import { Client, type Received, type Version } from './mqttjs-client.js';

type Mode = 'enforced' | 'transparent';
type Source = 'certificate' | 'verdict' | 'username' | 'listener';
type Tenant = 'red' | 'blue';

const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-tenants-'));
const put = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const ca = issue({ subject: { cn: 'CA' }, isCa: true });
const server = issue({ subject: { cn: 'localhost' }, names: ['localhost'], by: ca });
const devices = {
  red: issue({ subject: { cn: 'device', o: 'red' }, by: ca }),
  blue: issue({ subject: { cn: 'device', o: 'blue' }, by: ca }),
};
const tls = {
  certpath: put('server.pem', server.certificate),
  keypath: put('server.key', server.key),
  capath: put('ca.pem', ca.certificate),
};
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const listen = '127.0.0.1:0';
const tables = {
  certificate: { tls: { listen, tls, connections: { validate_tenant_prefix: true } } },
  verdict: { plain: { listen } },
  username: { plain: { listen, auth: { 'red/u': 'secret-of-red', 'blue/u': 'secret-of-blue' } } },
  listener: { red: { listen, tenant: 'red' }, blue: { listen, tenant: 'blue' } },
};
const from = {
  certificate: 'certificate',
  verdict: 'verdict',
  username: 'username_prefix',
  listener: 'listener',
};

class Site {
  readonly broker: Broker;
  readonly #mode: Mode;
  readonly #source: Source;
  readonly #clients: Client[] = [];

  constructor(mode: Mode, source: Source) {
    this.#mode = mode;
    this.#source = source;
    this.broker = new Broker({
      unified: tables[source],
      tenants: { mode, from: from[source] },
      mqtt: { sys_readers: 'all', sys_interval_s: 1 },
      log: { to: 'off' },
    } as ConstructorParameters<typeof Broker>[0]);
    if (source === 'verdict') {
      this.broker.authenticate(({ username }) => ({ accept: true, tenant: username }));
    }
  }

  /** What a client of the tenant calls a topic of its own. */
  topic(tenant: Tenant, name: string): string {
    return this.#mode === 'enforced' ? `/tenants/${tenant}/${name}` : name;
  }

  async open(tenant: Tenant, version: Version, options: IClientOptions = {}): Promise<Client> {
    const at = this.broker.addresses.find(({ listener }) => listener.endsWith(tenant));
    const port = (at ?? this.broker.addresses[0])?.port ?? 0;
    const client = await Client.open(port, version, { ...this.#credentials(tenant), ...options });
    this.#clients.push(client);
    return client;
  }

  #credentials(tenant: Tenant): IClientOptions {
    switch (this.#source) {
      case 'certificate': {
        const { certificate: cert, key } = devices[tenant];
        return { protocol: 'mqtts', host: 'localhost', ca: ca.certificate, cert, key };
      }
      case 'verdict':
        return { username: tenant };
      case 'username':
        return { username: `${tenant}/u`, password: `secret-of-${tenant}` };
      case 'listener':
        return {};
    }
  }

  async closeClients(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.mqtt.endAsync(true)));
  }
}

const codeOf = (promise: Promise<unknown>): Promise<number> =>
  promise.then(
    () => 0,
    (error: { code?: number }) => error.code ?? -1,
  );
/** What comes before the mark, which was published after everything else. */
async function upToMark(client: Client): Promise<string[]> {
  const seen: string[] = [];
  for (;;) {
    const { topic, text }: Received = await client.next();
    if (text === 'mark') return seen;
    seen.push(`${topic}: ${text}`);
  }
}

const sources: Source[] = ['certificate', 'verdict', 'username', 'listener'];
const cases = (['enforced', 'transparent'] as const).flatMap((mode) =>
  sources.map((source) => ({ mode, source })),
);
const versions: { name: string; version: Version }[] = [
  { name: '3.1.1', version: 4 },
  { name: '5.0', version: 5 },
];

describe.each(cases)('tenants, $mode, from the $source', ({ mode, source }) => {
  const site = new Site(mode, source);
  beforeAll(() => site.broker.start());
  afterEach(() => site.closeClients());
  afterAll(() => site.broker.stop({ timeoutMs: 0 }));
  /** Other spellings of red's topic t, as blue may try them. */
  const guesses = ['/tenants/red/t', 'tenants/red/t', '/tenants//red/t', '/tenants/red', 't', '/t'];
  const filters = [
    ...guesses,
    ...['#', '+/#', '+', '/#', '/+/+/+', '+/+/+/t', '/tenants/#', '/tenants/+/t', '/tenants/red/#'],
    ...['$share/g/#', '$share/g//tenants/red/t', '$share/g//tenants/+/#', '$share/red/t'],
  ];

  describe.each(versions)('MQTT $name', ({ version }) => {
    const refusal = version === 5 ? 0x87 : 5;

    test('publish and retain: nothing gets into another tenant', async () => {
      const red = await site.open('red', version);
      await red.subscribe(site.topic('red', '#'), 1);
      const blue = await site.open('blue', version);
      for (const topic of guesses) {
        for (const retain of [false, true]) {
          // MQTT 3.1.1 has no word for a denied PUBLISH.
          const code = await codeOf(blue.publish(topic, 'blue', { qos: 1, retain }));
          if (mode === 'enforced' && version === 5) expect(code).toBe(0x87);
        }
      }
      await red.publish(site.topic('red', 't'), 'mark', { qos: 1 });
      expect(await upToMark(red)).toEqual([]);
      const later = await site.open('red', version);
      await later.subscribe(site.topic('red', '#'), 1);
      await red.publish(site.topic('red', 't'), 'mark', { qos: 1 });
      expect(await upToMark(later)).toEqual([]);
      for (const topic of guesses) await codeOf(blue.publish(topic, '', { qos: 1, retain: true }));
    });

    test('subscribe: no filter, shared or not, reaches another tenant, live or retained', async () => {
      const red = await site.open('red', version);
      await red.publish(site.topic('red', 't'), 'kept', { qos: 1, retain: true });
      const blue = await site.open('blue', version);
      for (const filter of filters) {
        const code = await codeOf(blue.subscribe(filter, 1));
        if (mode === 'enforced') expect(code, filter).not.toBe(0);
      }
      await blue.subscribe(site.topic('blue', 'own/t'), 1);
      await red.publish(site.topic('red', 't'), 'secret', { qos: 1 });
      await blue.publish(site.topic('blue', 'own/t'), 'mark', { qos: 1 });
      expect(await upToMark(blue)).toEqual([]);
      // Nor does it end what is another's.
      await codeOf(blue.publish(site.topic('blue', 't'), '', { qos: 1, retain: true }));
      await codeOf(blue.publish('/tenants/red/t', '', { qos: 1, retain: true }));
      const reader = await site.open('red', version);
      await reader.subscribe(site.topic('red', 't'), 1);
      expect((await reader.next()).text).toBe('kept');
      await red.publish(site.topic('red', 't'), '', { qos: 1, retain: true });
    });

    test('groups of the same name are apart', async () => {
      const tenants = ['red', 'blue'] as const;
      const members = await Promise.all(
        tenants.map(async (tenant) => {
          const member = await site.open(tenant, version);
          await member.subscribe(`$share/g/${site.topic(tenant, 'job')}`, 1);
          return member;
        }),
      );
      const sender = await site.open('red', version);
      for (let at = 0; at < 6; at += 1) {
        await sender.publish(site.topic('red', 'job'), `red ${at}`, { qos: 1 });
      }
      const other = await site.open('blue', version);
      for (const [at, tenant] of tenants.entries()) {
        const client = tenant === 'red' ? sender : other;
        await client.publish(site.topic(tenant, 'job'), 'mark', { qos: 1 });
        const member = members[at] as Client;
        expect((await upToMark(member)).length).toBe(tenant === 'red' ? 6 : 0);
      }
    });

    test('Wills: refused at CONNECT, or kept within', async () => {
      const red = await site.open('red', version);
      await red.subscribe(site.topic('red', '#'), 1);
      const blue = await site.open('blue', version);
      await blue.subscribe(site.topic('blue', 'gone'), 1);
      const will = (topic: string) => ({
        will: { topic, payload: Buffer.from('w'), qos: 1 as const },
      });
      for (const topic of guesses) {
        if (mode === 'enforced') {
          expect(await codeOf(site.open('blue', version, will(topic)))).toBe(refusal);
        } else {
          await (await site.open('blue', version, will(topic))).cut();
        }
      }
      const dying = await site.open('blue', version, will(site.topic('blue', 'gone')));
      await dying.cut();
      expect((await blue.next()).topic).toBe(site.topic('blue', 'gone'));
      await red.publish(site.topic('red', 't'), 'mark', { qos: 1 });
      expect(await upToMark(red)).toEqual([]);
    });

    test('Client Identifiers: the same one twice, and another tenant’s in full', async () => {
      const keep =
        version === 5
          ? { clean: false, properties: { sessionExpiryInterval: 60 } }
          : { clean: false };
      const clientId = `pump-${version}`;
      const red = await site.open('red', version, { clientId, ...keep });
      await red.subscribe(site.topic('red', 't'), 1);
      for (const id of [clientId, `red.${clientId}`, `.red.${clientId}`, `../red.${clientId}`]) {
        const blue = await site.open('blue', version, { clientId: id, ...keep });
        expect(blue.sessionPresent, id).toBe(false);
        expect(await site.broker.registry.client(`blue.${id}`)).toMatchObject({ connected: true });
      }
      expect(await site.broker.registry.client(clientId)).toBeUndefined();
      await red.publish(site.topic('red', 't'), 'mark', { qos: 1 });
      expect(await upToMark(red)).toEqual([]);
      await red.close();
      const again = await site.open('red', version, { clientId, ...keep });
      expect(again.sessionPresent).toBe(true);
    });

    test('$SYS is shut, though all others may read it', async () => {
      const blue = await site.open('blue', version);
      for (const filter of ['$SYS/#', '$SYS/broker/uptime', '$share/g/$SYS/#', '$delayed/1/t']) {
        expect(await codeOf(blue.subscribe(filter, 0)), filter).not.toBe(0);
      }
      for (const topic of ['$SYS/x', '$delayed/1//tenants/red/t', '$share/g/t']) {
        const code = await codeOf(blue.publish(topic, 'x', { qos: 1 }));
        if (version === 5) expect(code, topic).toBe(0x87);
      }
      if (mode === 'transparent') await blue.subscribe('#', 0);
      await blue.subscribe(site.topic('blue', 't'), 0);
      await blue.publish(site.topic('blue', 't'), 'mark', { qos: 1 });
      expect(await upToMark(blue)).toEqual([]);
    });
  });

  test('Topic Aliases: a denied topic is denied by its alias too', async () => {
    const red = await site.open('red', 5);
    await red.subscribe(site.topic('red', '#'), 1);
    const blue = await site.open('blue', 5, { autoAssignTopicAlias: true });
    for (let at = 0; at < 3; at += 1) {
      const code = await codeOf(blue.publish('/tenants/red/t', 'blue', { qos: 1 }));
      if (mode === 'enforced') expect(code).toBe(0x87);
    }
    const topic = site.topic('blue', 'own');
    await blue.subscribe(topic, 1);
    for (const text of ['1', '2', 'mark']) await blue.publish(topic, text, { qos: 1 });
    expect(await upToMark(blue)).toEqual([`${topic}: 1`, `${topic}: 2`]);
    await red.publish(site.topic('red', 't'), 'mark', { qos: 1 });
    expect(await upToMark(red)).toEqual([]);
  });

  test('a Response Topic means the same to whoever answers within the tenant', async () => {
    const asks = await site.open('red', 5);
    const answers = await site.open('red', 5);
    const blue = await site.open('blue', 5);
    const responseTopic = site.topic('red', 'answers');
    await answers.subscribe(site.topic('red', 'questions'), 1);
    await asks.subscribe(responseTopic, 1);
    const properties = { responseTopic, correlationData: Buffer.from('7') };
    await asks.publish(site.topic('red', 'questions'), 'how?', { qos: 1, properties });
    const question = await answers.next();
    expect(question.packet.properties?.responseTopic).toBe(responseTopic);
    // Whoever else learns of it answers to himself, or nobody.
    await codeOf(blue.publish(responseTopic, 'so', { qos: 1 }));
    await answers.publish(question.packet.properties?.responseTopic ?? '', 'mark', { qos: 1 });
    expect(await upToMark(asks)).toEqual([]);
  });

  test('an Assigned Client Identifier is one’s own, and names no tenant', async () => {
    const clients = await Promise.all([
      site.open('red', 5, { clientId: '' }),
      site.open('blue', 5, { clientId: '' }),
    ]);
    for (const [at, tenant] of ['red', 'blue'].entries()) {
      const id = clients[at]?.connack?.properties?.assignedClientIdentifier ?? '';
      expect(id).not.toBe('');
      expect(id).not.toMatch(/red|blue/);
      expect((await site.broker.registry.client(`${tenant}.${id}`))?.identity).toMatchObject({
        tenant,
      });
    }
  });

  test('a refusal says nothing of the other tenant', async () => {
    await site.open('red', 5, { clientId: 'quiet' });
    const blue = await site.open('blue', 5);
    const packets: string[] = [];
    blue.mqtt.on('packetreceive', (packet) => packets.push(JSON.stringify(packet)));
    await codeOf(blue.publish('/tenants/red/t', 'x', { qos: 1 }));
    await codeOf(blue.publish('/tenants/green/t', 'x', { qos: 1 }));
    await codeOf(blue.subscribe('/tenants/red/#', 1));
    await codeOf(blue.subscribe('/tenants/green/#', 1));
    expect(packets).toHaveLength(4);
    // The same for a tenant that is there as for one that is not.
    const same = packets.map((text) => text.replace(/"messageId":\d+/, ''));
    expect(same[0]).toBe(same[1]);
    expect(same[2]).toBe(same[3]);
    expect(packets.join()).not.toMatch(/red|quiet/);
  });
});
