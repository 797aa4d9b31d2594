// `npm run bench [-- ROW…]`: sets up like `npm start`, then compares brokers; see bench/README.md.
import { main } from './run.mjs';
import { setUp } from './setup.mjs';

await main(async () => {
  // Another command that starts st-mqttd brings its own build.
  if (process.env.STMQTTD_CMD === undefined) await setUp();
  const { bench } = await import('../bench/run.mjs');
  return bench();
});
