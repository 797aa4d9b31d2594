// The process with the embedded broker: does what its parent tells it, one row, one round.
import { setTimeout as sleep } from 'node:timers/promises';
import { embedded } from './brokers.mjs';
import { Ledger, stamp } from './ledger.mjs';
import { openPace } from './pace.mjs';
import { Pump } from './pump.mjs';

const kStallMs = 5000;

let row;
let broker;
let pace;
let ledger;
let pump;
/** How much has been delivered, as this process knows it. */
let delivered = () => ledger.delivered;
const hooked = { calls: 0 };

const commands = {
  /** The broker, and what of the row is in this process. */
  async open(given) {
    row = given.row;
    broker = await embedded[given.broker]({ hook: hookOf(row.hook) });
    ledger = new Ledger(row.topics?.length ?? 1);
    if (row.peer !== undefined) pace = await openPace();
    if (row.subscribes) await subscribe();
    return { port: broker.port, pacePort: pace?.port };
  },

  /** Everyone is here: runs, and measures. */
  async run({ warmup, seconds }) {
    const side = await pace?.joined;
    if (row.subscribes) side?.listen(() => {});
    if (row.kind === 'write') return await write(side, warmup, seconds);
    if (row.publishes) await startPump(side);
    await sleep(warmup * 1000);
    const began = mark();
    await sleep(seconds * 1000);
    const report = between(began, mark());
    pump?.stop();
    return report;
  },

  /** Waits until `published` messages are here; with what is in their way. */
  async drain({ published }) {
    let seen = -1;
    for (let since = performance.now(); delivered() < published; await sleep(5)) {
      if (delivered() !== seen) since = performance.now();
      seen = delivered();
      if (performance.now() - since > kStallMs) break;
    }
    await sleep(20); // A double would come right behind the last one.
    const { doubled, disordered } = ledger;
    const lost = published - (delivered() - doubled);
    return { lost, doubled, disordered };
  },

  published: async () => ({ published: pump.published }),
  hooked: async () => hooked,
  async stop() {
    pace?.joined.then((side) => side.close());
    await broker.stop();
    process.disconnect();
  },
};

process.on('message', async ({ command, ...values }) => {
  const answer = await commands[command](values);
  if (process.connected) process.send(answer ?? {});
});
process.on('disconnect', () => process.exit(0));
process.send('up');

/** Its handler looks at the message, and lets it pass. */
function hookOf(hook) {
  if (hook === undefined) return undefined;
  return {
    filter: hook.filter,
    matches: hook.prefix === undefined ? () => hook.all : (topic) => topic.startsWith(hook.prefix),
    handler(message) {
      if (message.topic.length > 0) hooked.calls++;
    },
  };
}

async function subscribe() {
  const side = row.peer === undefined ? undefined : pace.joined;
  let told;
  side?.then((joined) => {
    told = joined;
  });
  await broker.subscribe(row.filter, row.qos, (payload) => {
    ledger.take(payload, 0);
    if (row.publishes) pump.onDelivered(ledger.delivered);
    else told.tell(ledger.delivered);
  });
}

async function startPump(side) {
  pump = new Pump(await broker.publisher(row.qos), row);
  if (!row.subscribes) {
    let total = 0;
    delivered = () => total;
    side.listen((told) => {
      total = told;
      pump.onDelivered(told);
    });
  }
  pump.start();
}

/** One message to each device, again and again; the next when all have it. Only writing is timed. */
async function write(side, warmup, seconds) {
  const clientIds = Array.from({ length: row.devices }, (_, index) => `device-${index}`);
  let total = 0;
  let onTotal = () => {};
  side.listen((told) => {
    total = told;
    onTotal();
  });
  const arrived = (wanted) =>
    new Promise((resolve) => {
      onTotal = () => total >= wanted && resolve();
      onTotal();
    });
  const sum = { delivered: 0, seconds: 0, cpuUs: 0 };
  const payload = Buffer.alloc(row.size, '.');
  const writeAll = row.each ? broker.writeToEach : broker.writeToMany;
  let sweeps = 0;
  for (const until = performance.now() + (warmup + seconds) * 1000; ; ) {
    stamp(payload, 0, 0, ++sweeps);
    const began = mark();
    const count = await writeAll(clientIds, row.topics[0], payload, row.qos);
    const { seconds: took, cpuUs } = between(began, mark());
    if (count !== row.devices) throw new Error(`${count} of ${row.devices} devices had a message`);
    await arrived(sweeps * row.devices);
    if (sweeps > 1) {
      sum.delivered += count;
      sum.seconds += took;
      sum.cpuUs += cpuUs;
    }
    if (sweeps > 1 && performance.now() > until) return sum;
  }
}

function mark() {
  const { user, system } = process.cpuUsage();
  return { delivered: delivered(), cpuUs: user + system, at: performance.now() };
}

function between(from, to) {
  return {
    delivered: to.delivered - from.delivered,
    seconds: (to.at - from.at) / 1000,
    cpuUs: to.cpuUs - from.cpuUs,
  };
}
