// A table of links against a server that the test plays, and what such a server says.
import type mqttPacket from 'mqtt-packet';
import type { Link } from '../../../src/link/link.ts';
import { Links } from '../../../src/link/links.ts';
import type { LinkOptions } from '../../../src/link/options.ts';
import type { NativeBrokerOptions } from '../../../src/native/addon.ts';
import { CommandWriter } from '../../../src/native/commands.ts';
import { Dispatcher } from '../../../src/native/dispatch.ts';
import { FakeBroker, type Respond, serveLinks } from '../fake-native.ts';

type Packet = mqttPacket.Packet;

/** A table of links on a fake native half, with everything that links send. */
export function world(respond: Respond = () => undefined) {
  const native: FakeBroker = new FakeBroker({} as NativeBrokerOptions, () => dispatcher.wake());
  const sent: Packet[] = [];
  serveLinks(native, (packet, linkId) => {
    sent.push(packet);
    return respond(packet, linkId);
  });
  const errors: unknown[] = [];
  const writer = new CommandWriter((bytes, length) => native.submit(bytes, length));
  const links = new Links(writer, {
    onError: (error) => errors.push(error),
    tellsPublishers: true,
  });
  const dispatcher: Dispatcher = new Dispatcher(native, (event) => {
    if (event.kind === 'link_bytes' || event.kind === 'link_closed') links.handle(event);
  });
  const of = (cmd: Packet['cmd']) => sent.filter((packet) => packet.cmd === cmd);
  const open = (options?: LinkOptions): Promise<Link> => links.open(options ?? {});
  /** Bytes that links have given back. */
  const credited = () =>
    native.sent('link_credit').reduce((sum, { fields }) => sum + Number(fields.consumed_bytes), 0);
  return { native, sent, of, links, errors, open, credited };
}
export const turn = () => new Promise<void>((done) => setTimeout(done, 5));
export const connack = (properties: object = {}, sessionPresent = false): Packet[] => [
  { cmd: 'connack', reasonCode: 0, sessionPresent, properties } as Packet,
];
export const publish = (topic: string, payload: string | Buffer, more: object = {}): Packet =>
  ({ cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false, ...more }) as Packet;
