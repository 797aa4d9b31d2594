// Before `npm pack` and `npm publish`: what the tarball carries but git does not. Tests set
// ST_MQTTD_PACK=host to pack this machine's own build only; a release carries every target.
import { prebuild, prebuildHost } from './prebuild.mjs';
import { main } from './run.mjs';
import { setUp } from './setup.mjs';

await main(async () => {
  await setUp({ addon: false });
  if (process.env.ST_MQTTD_PACK === 'host') await prebuildHost();
  else await prebuild();
});
