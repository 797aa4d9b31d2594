// `npm run bench:listing [-- SESSIONS]`: how long the console's listings hold the event loop of a
// broker with so many sessions (default a million), each with a subscription. The broker runs in
// this process, the clients that make the sessions in two others, and the asker in a third, so that
// nothing but the console uses this loop.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { root } from '../../scripts/native-sources.mjs';
import { main, PlainError } from '../../scripts/run.mjs';

const kRounds = 5;
const kFeeders = 2;
const kAllowedMs = 10;

await main(async () => {
  const sessions = Number(process.argv[2] ?? 1_000_000);
  if (!Number.isInteger(sessions) || sessions < 1) throw new PlainError('SESSIONS is a number');
  const { Broker } = await import(join(root, 'dist', 'index.js'));
  const broker = new Broker({
    unified: { 1: { listen: '127.0.0.1:0' } },
    console: { listen: '127.0.0.1:0' },
    log: { to: 'off' },
  });
  const records = [];
  broker.on('log', ({ text }) => records.push(text));
  await broker.start();
  try {
    const { port } = broker.address();
    const url = consoleUrl(records);
    await feed(port, sessions);
    console.log(`${sessions} sessions; longest time that a listing held the loop, ms:`);
    const worst = await ask(url, sessions);
    console.log(`longest of all: ${worst.toFixed(1)} ms; at most ${kAllowedMs} is wanted`);
    return worst <= kAllowedMs ? 0 : 1;
  } finally {
    await broker.stop({ timeoutMs: 1000 });
  }
});

function consoleUrl(records) {
  const found = records.map((text) => /http:\/\/[^\s/]+/.exec(text)?.[0]).find(Boolean);
  if (found === undefined) throw new PlainError('the console did not say where it listens');
  return found;
}

async function feed(port, sessions) {
  const share = Math.ceil(sessions / kFeeders);
  const feeders = Array.from({ length: kFeeders }, (_, index) => {
    const from = index * share;
    const until = Math.min(sessions, from + share);
    return fork(join(root, 'bench', 'console', 'feeder.mjs'), [port, from, until].map(String));
  });
  const codes = await Promise.all(feeders.map(async (child) => (await once(child, 'exit'))[0]));
  if (codes.some((code) => code !== 0)) throw new PlainError('a feeder failed');
}

/** Runs the asker and tells it, for each request, how long the loop stood still meanwhile. */
async function ask(url, sessions) {
  let longest = 0;
  let last = performance.now();
  let watching = true;
  const watch = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (watching) setImmediate(watch);
  };
  watch();
  const child = fork(
    join(root, 'bench', 'console', 'asker.mjs'),
    [url, sessions, kRounds].map(String),
  );
  let worst = 0;
  child.on('message', (message) => {
    if (message === 'begin') {
      longest = 0;
      last = performance.now();
      child.send('go');
    } else {
      worst = Math.max(worst, longest);
      child.send(longest);
    }
  });
  const [code] = await once(child, 'exit');
  watching = false;
  if (code !== 0) throw new PlainError('the asker failed');
  return worst;
}
