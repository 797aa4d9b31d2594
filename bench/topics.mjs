// `npm run bench:topics [-- TOPICS]`: memory of a broker whose listener makes logs, when so many
// topics (default a million) without a subscriber get a message each, and again. The broker runs in
// a process of its own; what it takes beyond its start must stay within max_dynamic_bytes, what the
// allocator keeps aside.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../scripts/native-sources.mjs';
import { main, PlainError } from '../scripts/run.mjs';

const kBudget = 64 * 1024 * 1024;
const kPayload = Buffer.alloc(32, 'x');
const kAllowed = 1.5;
const kBatch = 500;
const mib = (bytes) => (bytes / 1024 / 1024).toFixed(0);

if (process.argv[2] === 'broker') await serve();
else await main(measure);

async function serve() {
  const { Broker } = await import(join(root, 'dist', 'index.js'));
  const broker = new Broker({
    unified: { 1: { listen: '127.0.0.1:0', connections: { dynamic_filters: true } } },
    device: { max_dynamic_bytes: kBudget, max_dynamic_filters: 10_000_000 },
    log: { to: 'off' },
  });
  await broker.start();
  process.on('message', async () => {
    const counters = broker.metrics();
    process.send({ rss: process.memoryUsage.rss(), counters });
  });
  process.on('disconnect', () => process.exit(0));
  process.send({ port: broker.address().port });
}

async function measure() {
  const topics = Number(process.argv[2] ?? 1_000_000);
  if (!Number.isInteger(topics) || topics < 1) throw new PlainError('TOPICS is a number');
  const child = fork(fileURLToPath(import.meta.url), ['broker']);
  try {
    const [{ port }] = await once(child, 'message');
    const look = async () => {
      child.send('look');
      const [{ rss, counters }] = await once(child, 'message');
      return { rss, counters };
    };
    const before = await look();
    let worst = 0;
    for (let round = 1; round <= 3; ++round) {
      await publish(port, topics);
      const { rss, counters } = await look();
      const grown = rss - before.rss;
      worst = Math.max(worst, grown);
      console.log(
        `round ${round}: ${mib(grown)} MiB more than at start, ${counters.logs} logs of ` +
          `${counters.logs_created} made, ${counters.logs_evicted_bytes} evicted`,
      );
    }
    console.log(
      `${topics} topics; at most ${mib(kBudget * kAllowed)} MiB for a budget of ${mib(kBudget)}`,
    );
    return worst <= kBudget * kAllowed ? 0 : 1;
  } finally {
    child.disconnect();
  }
}

/** One client; returns when the broker has taken everything. */
async function publish(port, topics) {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(Buffer.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 1, 0x74]));
  await once(socket, 'data');
  for (let from = 0; from < topics; from += kBatch) {
    const packets = [];
    for (let at = from; at < Math.min(topics, from + kBatch); ++at) {
      const topic = Buffer.from(`plant/line/${at}/value`);
      const length = 2 + topic.length + kPayload.length;
      packets.push(Buffer.from([0x30, length, 0, topic.length]), topic, kPayload);
    }
    if (!socket.write(Buffer.concat(packets))) await once(socket, 'drain');
  }
  socket.write(Buffer.from([0xc0, 0]));
  await once(socket, 'data'); // PINGRESP comes behind them all
  socket.end(Buffer.from([0xe0, 0]));
}
