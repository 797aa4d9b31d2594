// A service that is its own broker: devices speak MQTT, people and other services HTTP.
//   GET  /devices                   who is connected, page by page
//   POST /devices/:id/commands      a command for one device; 202, or 404 where nobody listens
//   GET  /telemetry                 what devices send, as server-sent events
import { Readable } from 'node:stream';
import fastify, { type FastifyInstance } from 'fastify';
import { Broker, type BrokerOptions, type Link } from 'st-mqttd';

interface Command {
  readonly name: string;
  readonly value?: number;
}

export interface Service {
  readonly http: FastifyInstance;
  readonly broker: Broker;
  stop(): Promise<void>;
}

const kNobodySubscribed = 0x10;

const commandSchema = {
  type: 'object',
  required: ['name'],
  additionalProperties: false,
  properties: {
    name: { type: 'string', minLength: 1 },
    value: { type: 'number' },
  },
} as const;

export async function startService(options: BrokerOptions, port = 0): Promise<Service> {
  const broker = new Broker(options);
  await broker.start();
  const link = await broker.link({ clientId: 'service' });
  const http = fastify({ forceCloseConnections: true });

  http.get<{ Querystring: { cursor?: string; limit: number } }>(
    '/devices',
    {
      schema: {
        querystring: {
          type: 'object',
          properties: {
            cursor: { type: 'string' },
            limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
          },
        },
      },
    },
    async ({ query }) => {
      const { items, next } = await broker.clients
        .filter(({ address }) => address !== 'link')
        .page(query);
      return {
        devices: items.map(({ clientId, address, connectedAt }) => ({
          id: clientId,
          address,
          connectedAt,
        })),
        next: next ?? null,
      };
    },
  );

  http.post<{ Params: { id: string }; Body: Command }>(
    '/devices/:id/commands',
    { schema: { body: commandSchema } },
    async ({ params, body }, reply) => {
      // What could name other topics is no device.
      if (/[/+#\0]/.test(params.id)) return reply.code(404).send({ error: 'no such device' });
      const topic = `devices/${params.id}/commands`;
      const { reasonCode } = await link.publish(topic, JSON.stringify(body), { qos: 1 });
      if (reasonCode === kNobodySubscribed)
        return reply.code(404).send({ error: 'nobody listens' });
      return reply.code(202).send({ accepted: true });
    },
  );

  http.get('/telemetry', async (request, reply) => {
    // A link of its own: a slow reader holds up nobody else, and ends with its connection.
    const own = await broker.link();
    request.raw.socket.once('close', () => void own.close());
    const messages = own.subscribe('devices/+/telemetry', { qos: 1 });
    await messages.ready;
    reply.header('content-type', 'text/event-stream').header('cache-control', 'no-store');
    return reply.send(Readable.from(events(own, messages), { objectMode: false }));
  });

  await http.listen({ host: '127.0.0.1', port });
  return {
    http,
    broker,
    stop: async () => {
      await http.close();
      await broker.stop();
    },
  };
}

async function* events(
  link: Link,
  messages: ReturnType<Link['subscribe']>,
): AsyncGenerator<string> {
  try {
    yield ': hello\n\n';
    for await (const { topic, payload } of messages) {
      const [, device] = topic.split('/');
      yield `data: ${JSON.stringify({ device, payload: payload.toString() })}\n\n`;
    }
  } finally {
    await link.close();
  }
}
