// Before `npm pack` and `npm publish`: what the tarball carries but git does not. Tests set
// ST_MQTTD_PACK=host to pack this machine's own build only; a release carries every target.
import { existsSync } from 'node:fs';
import { buildPage, pageFile } from './build-ui.mjs';
import { prebuild, prebuildHost } from './prebuild.mjs';
import { main } from './run.mjs';
import { setUp } from './setup.mjs';

await main(async () => {
  await setUp({ addon: false });
  // setUp() goes on without it; a package must not.
  if (!existsSync(pageFile)) await buildPage();
  if (process.env.ST_MQTTD_PACK === 'host') await prebuildHost();
  else await prebuild();
});
