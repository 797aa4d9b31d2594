// A broker with traffic of its own, for tests that end its environment from outside or inside: links
// publish to each other without end. Runs as a process (options in argv[2]) or in a worker thread
// (in workerData); tells its port, then ends in the way that `end` names.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';

const {
  entry,
  io_threads = 1,
  brokers = 1,
  links = 2,
  end = 'never',
  afterMs = 0,
} = isMainThread ? JSON.parse(process.argv[2] ?? '{}') : workerData;
const { Broker } = await import(entry);

const tell = (message) => {
  if (isMainThread) console.log(JSON.stringify(message));
  else parentPort.postMessage(message);
};

async function chatter(broker, number) {
  const link = await broker.link({ clientId: `busy${number}`, sessionExpiry: 60 });
  const subscription = link.subscribe('busy/#', { qos: 1 });
  await subscription.ready;
  void (async () => {
    for await (const message of subscription) void message;
  })().catch(() => {});
  for (let n = 0; ; n++) await link.publish(`busy/${number}`, `${n}`, { qos: n % 3 });
}

async function serve() {
  const broker = new Broker({
    broker: { io_threads },
    unified: { busy: { listen: '127.0.0.1:0' } },
    log: { to: 'off' },
  });
  if (end === 'exit in an event') broker.on('connect', () => process.exit(7));
  if (end === 'throw in an event') {
    broker.on('connect', () => {
      throw new Error('from a listener');
    });
  }
  if (end === 'exit while judging') {
    broker.authenticate(async () => {
      setImmediate(() => process.exit(7));
      await new Promise(() => {});
    });
  }
  await broker.start();
  for (let n = 0; n < links; n++) chatter(broker, n).catch(() => {});
  return broker;
}

const running = await Promise.all(Array.from({ length: brokers }, serve));
tell({ ports: running.map((broker) => broker.address().port) });

const endings = {
  exit: () => process.exit(7),
  'exit while stopping': () => {
    for (const broker of running) void broker.stop();
    setImmediate(() => process.exit(7));
  },
  throw: () => {
    throw new Error('nobody catches this');
  },
  abandon: () => {
    // Nothing is stopped; the loop is given nothing to wait for but the brokers.
  },
  block: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300),
};
const ending = endings[end];
if (ending !== undefined) setTimeout(ending, afterMs);
