// Options that bound what a client may ask for, beyond what the standard's own statements show.
import { expect, it } from 'vitest';
import { publishPacket, unique } from '../harness/client.js';
import { Reason, VERSIONS, type Version } from '../harness/packets.js';
import { conformance } from './suite.js';

for (const only of VERSIONS)
  conformance(`accept_versions = [${only}]`, only, { accept_versions: [only] }, (s) => {
    it.each(VERSIONS)(
      '%s is accepted or refused with the code of its version',
      async (version: Version) => {
        const client = await s.open({ version });
        if (version !== only) {
          const code = version === '5.0' ? Reason.unsupportedProtocolVersion : 1;
          await client.wire.expectRefused(code);
          return;
        }
        expect((await client.wire.expect('CONNACK')).reasonCode).toBe(0);
        await client.ping();
      },
    );
  });

conformance(
  'default and maximum Keep Alive',
  '5.0',
  { default_keep_alive_s: 1, allow_zero_keep_alive: false },
  (s) => {
    it.concurrent('5.0: a Keep Alive of 0 is replaced by the default, told and enforced', async () => {
      const client = await s.connect({ keepAlive: 0 });
      expect(client.connack.properties.serverKeepAlive).toBe(1);
      const start = performance.now();
      await client.wire.next().catch(() => undefined);
      expect(performance.now() - start).toBeLessThan(4000);
    });

    it.concurrent('3.1.1: it is enforced silently', async () => {
      const client = await s.connect({ version: '3.1.1', keepAlive: 0 });
      await client.wire.expectClosed(4000);
    });
  },
);

conformance('max_topic_levels', '5.0', { max_topic_levels: 3 }, (s) => {
  it('a PUBLISH to more levels is refused with 0x90, one at the limit is not', async () => {
    const client = await s.connect();
    await client.publish('a/b/c', 'x', { qos: 1 });
    client.send(publishPacket('a/b/c/d', 'x', { qos: 1, packetId: 7 }));
    expect(await client.wire.next()).toMatchObject({ reasonCode: Reason.topicNameInvalid });
  });
});

conformance('max_topic_alias_out = 0', '5.0', { max_topic_alias_out: 0 }, (s) => {
  it('[MQTT-3.1.2-26] no alias is sent to a client that allows them', async () => {
    const topic = unique('t');
    const sub = await s.connect({ properties: { topicAliasMaximum: 10 } });
    await sub.subscribe(topic);
    const pub = await s.connect();
    for (let i = 0; i < 4; i++) {
      await pub.publish(topic, 'x');
      expect(await sub.receive()).toMatchObject({ topic, properties: {} });
    }
  });
});
