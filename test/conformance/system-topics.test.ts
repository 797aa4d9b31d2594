// $SYS: only the broker publishes there, and only those read it whom mqtt.sys_readers names. The
// standard leaves both to the server (4.7.2).
import { expect, it } from 'vitest';
import { ack, publishPacket, unique } from '../harness/client.js';
import { Reason, VERSIONS } from '../harness/packets.js';
import { conformance } from './suite.js';

for (const version of VERSIONS)
  conformance(`$SYS, MQTT ${version}`, version, { sys_readers: 'loopback' }, (s) => {
    it('is readable on a loopback address, and nothing that a client publishes gets there', async () => {
      const topic = `$SYS/${unique('t')}`;
      const reader = await s.connect();
      expect((await reader.subscribe([`${topic}/#`, '$SYS/#'])).reasonCodes).toEqual([0, 0]);
      const client = await s.connect();
      await client.publish(topic, 'qos 0', { retain: true });
      for (const qos of [1, 2] as const) {
        const code = await client.publish(topic, `qos ${qos}`, { qos, retain: true });
        expect(code).toBe(version === '5.0' ? Reason.notAuthorized : 0);
      }
      await client.ping();
      await reader.ping();
      // Nor is it retained.
      const late = await s.connect();
      await late.subscribe('$SYS/#');
      await late.ping();
      await reader.wire.expectNothing(50);
    });

    it('a refused QoS 2 publish leaves nothing behind', async () => {
      const client = await s.connect();
      client.send(publishPacket('$SYS/x', '', { qos: 2, packetId: 9 }));
      const answer = await client.wire.expect('PUBREC');
      expect(answer.packetId).toBe(9);
      // The identifier is free: the next publish with it is another one.
      const topic = unique('t');
      const reader = await s.connect();
      await reader.subscribe(topic);
      if (version !== '5.0') {
        client.send(ack('PUBREL', 9));
        expect((await client.wire.expect('PUBCOMP')).packetId).toBe(9);
      }
      await client.publish(topic, 'another', { qos: 2, packetId: 9 });
      expect((await reader.receive()).payload.toString()).toBe('another');
    });

    it('a Will there refuses the connection', async () => {
      const client = await s.open({ will: { topic: '$SYS/will', payload: 'x' } });
      await client.wire.expectRefused(version === '5.0' ? Reason.notAuthorized : 5);
    });

    it.each(['$SYSTEM', '$sys/a', '$', '$SYSx/a', 'a/$SYS'])(
      '%s is a topic like any',
      async (root) => {
        const topic = `${root}/${unique('t')}`;
        const reader = await s.connect();
        await reader.subscribe(topic);
        const client = await s.connect();
        await client.publish(topic, 'x', { qos: 1 });
        expect((await reader.receive()).payload.toString()).toBe('x');
      },
    );
  });

for (const version of VERSIONS)
  conformance(
    `$SYS, sys_readers = none, MQTT ${version}`,
    version,
    { sys_readers: 'none' },
    (s) => {
      it('filters whose first level is $SYS are refused, shared ones too; others are not', async () => {
        const client = await s.connect();
        const refused = version === '5.0' ? Reason.notAuthorized : 0x80;
        const filters = ['$SYS', '$SYS/#', '$SYS/+/a', '$share/g/$SYS/#', '#', '+/a', '$SYSx/#'];
        const { reasonCodes } = await client.subscribe(filters);
        expect(reasonCodes).toEqual([refused, refused, refused, refused, 0, 0, 0]);
      });
    },
  );

conformance('$SYS, topic aliases', '5.0', { sys_readers: 'all' }, (s) => {
  it('an alias does not hide the topic', async () => {
    const client = await s.connect();
    const properties = { topicAlias: 1 };
    expect(await client.publish('$SYS/a', 'x', { qos: 1, properties })).toBe(Reason.notAuthorized);
    expect(await client.publish('', 'x', { qos: 1, properties })).toBe(Reason.notAuthorized);
  });
});
