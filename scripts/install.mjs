// The package's install script. Where a prebuilt addon fits this machine there is nothing to do (and
// the package works without this script); else the addon is compiled from source.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { buildNative, missingTools } from './native-build.mjs';
import { root } from './native-sources.mjs';
import { main, PlainError } from './run.mjs';

/** Why the addon does not load, or undefined if it does. */
function loadFailure() {
  try {
    createRequire(join(root, 'package.json'))('node-gyp-build')(root);
    return undefined;
  } catch (error) {
    return error.message.trim();
  }
}

await main(async () => {
  // In a checkout the addon is built by `npm start`, `npm test` or `npm run build`.
  if (existsSync(join(root, 'tsconfig.json'))) return;
  const fromSource = process.env.npm_config_build_from_source;
  const failure =
    fromSource === 'true' || fromSource === 'st-mqttd' ? 'build from source' : loadFailure();
  if (failure === undefined) return;

  const machine = `${process.platform}-${process.arch}, Node ${process.versions.node}`;
  const missing = missingTools();
  if (missing.length > 0) {
    throw new PlainError(
      `st-mqttd has no prebuilt addon that loads on this machine (${machine}):
  ${failure.split('\n').join('\n  ')}
and it cannot be compiled from source here. Missing:
  - ${missing.join('\n  - ')}
Install these, then run: npm rebuild st-mqttd`,
    );
  }
  console.log(`st-mqttd: no prebuilt addon for ${machine}; compiling it from source`);
  await buildNative(['st_mqttd']);
  const stillFails = loadFailure();
  if (stillFails !== undefined) {
    throw new PlainError(`st-mqttd: the addon was compiled, but does not load:\n${stillFails}`);
  }
});
