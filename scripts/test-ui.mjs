// `npm run test:ui`: the console's live page in a browser, against a broker with real clients. The
// browser is Debian's or Ubuntu's chromium; where there is none, its tests are counted as skipped.
import { existsSync } from 'node:fs';
import { main, which } from './run.mjs';
import { setUp } from './setup.mjs';
import { runSuites, runVitest, skipped } from './suites.mjs';

const names = ['chromium', 'chromium-browser', 'google-chrome'];

await main(async () => {
  await setUp();
  const named = process.env.ST_MQTTD_CHROMIUM;
  const browser = named ?? names.map((name) => which(name)).find((path) => path !== undefined);
  const found = browser !== undefined && existsSync(browser);
  return runSuites([
    found
      ? {
          name: 'ui',
          body: () =>
            runVitest(['test/ui'], {
              args: process.argv.slice(2),
              env: { ST_MQTTD_CHROMIUM: browser },
            }),
        }
      : {
          name: 'ui (missing)',
          body: async () =>
            skipped('chromium', 'apt-get install chromium, or set ST_MQTTD_CHROMIUM'),
        },
  ]);
});
