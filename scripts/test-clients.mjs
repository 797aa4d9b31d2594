// `npm run test:clients [-- ARGUMENTS]`: real clients against the broker. What can be installed into
// the checkout is (paho-mqtt, rumqttc, sslyze); a client that is missing all the same is counted as skipped,
// with its cure.
import { join } from 'node:path';
import { root } from './native-sources.mjs';
import { installFromPyPI } from './python-tool.mjs';
import { ask, main, PlainError, runLogged, which } from './run.mjs';
import { say, setUp } from './setup.mjs';
import { runSuites, runVitest, skipped } from './suites.mjs';

/** The python whose paho-mqtt is version 2: the machine's, or one of ours. */
async function pythonWithPaho() {
  const works = (python) => ask(python, ['-c', 'from paho.mqtt.enums import CallbackAPIVersion']);
  if (works('python3') !== undefined) return 'python3';
  const python = (bin) => join(bin, 'python');
  return python(await installFromPyPI('paho-mqtt', '2.1.0', (bin) => works(python(bin)) === ''));
}

/** The TLS scanner. */
async function installSslyze() {
  const program = (bin) => join(bin, 'sslyze');
  const works = (bin) => ask(program(bin), ['--help']) !== undefined;
  return program(await installFromPyPI('sslyze', '6.3.1', works));
}

/** Builds the cases for rumqttc; cargo itself knows what is up to date. */
async function buildRumqttcCases() {
  if (which('cargo') === undefined) {
    throw new PlainError('cargo is missing. Cure: on Debian or Ubuntu, apt-get install cargo');
  }
  const target = join(root, 'build', 'rumqttc');
  const manifest = join(root, 'test', 'clients', 'rumqttc', 'Cargo.toml');
  say('building the cases for rumqttc');
  await runLogged('cargo', ['build', '--locked', '--manifest-path', manifest], {
    env: { ...process.env, CARGO_TARGET_DIR: target },
    log: join(root, 'build', 'rumqttc.log'),
    doing: 'Building the cases for rumqttc',
  });
  return join(target, 'debug', 'rumqttc-cases');
}

await main(async () => {
  // Against another broker (STMQTTD_TEST_PORT, STMQTTD_CMD) nothing of ours need be built.
  if (process.env.STMQTTD_TEST_PORT === undefined && process.env.STMQTTD_CMD === undefined) {
    await setUp();
  }
  const env = {};
  const missing = [];
  const prepare = async (name, variable, body) => {
    try {
      env[variable] = await body();
    } catch (error) {
      if (!(error instanceof PlainError)) throw error;
      missing.push({ name, cure: error.message.split('\n').at(-1) });
    }
  };
  await prepare('paho-mqtt', 'STMQTTD_PAHO_PYTHON', pythonWithPaho);
  await prepare('sslyze', 'STMQTTD_SSLYZE', installSslyze);
  await prepare('rumqttc', 'STMQTTD_RUMQTTC_CASES', buildRumqttcCases);
  const args = process.argv.slice(2);
  const folders = ['test/clients', 'test/e2e'];
  const suites = [{ name: 'clients', body: () => runVitest(folders, { args, env }) }];
  if (process.env.STMQTTD_TEST_PORT === undefined) {
    const threads = { ST_MQTTD_BROKER__IO_THREADS: '3' };
    suites.push({
      // Clients on different threads: every message between them crosses.
      name: 'clients, 3 I/O threads',
      body: () => runVitest(folders, { args, env: { ...env, ...threads } }),
    });
  }
  for (const { name, cure } of missing) {
    suites.push({ name: `${name} (missing)`, body: async () => skipped(name, cure) });
  }
  return runSuites(suites);
});
