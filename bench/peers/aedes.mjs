// aedes as a process of its own: node bench/peers/aedes.mjs PORT
import { createServer } from 'node:net';
import { Aedes } from 'aedes';

const broker = await Aedes.createBroker({ concurrency: 1000, queueLimit: 1_000_000 });
const server = createServer({ noDelay: true }, broker.handle);
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 1024 });
process.once('SIGTERM', () => process.exit(0));
