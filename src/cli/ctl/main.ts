/**
 * `st-mqttd ctl`: a running broker looked at and operated from the command line, over the console's
 * HTTP API. Loads nothing of the broker.
 */
import { readFileSync } from 'node:fs';
import { fail, messageOf, StMqttdError } from '../../errors.js';
import * as actions from './actions.js';
import { Api } from './api.js';
import * as bans from './bans.js';
import { type CommandName, helpText } from './commands.js';
import * as config from './config.js';
import * as devices from './devices.js';
import * as filters from './filters.js';
import * as listings from './listings.js';
import { type Output, safe, standardOutput } from './output.js';
import { type Parsed, parseCtl } from './parse.js';
import * as plugins from './plugins.js';
import * as traces from './traces.js';

const kDefaultUrl = 'http://127.0.0.1:3030';
const kFailed = 1;
const kUsage = 2;

const run: Readonly<Record<CommandName, (call: listings.Call) => Promise<void>>> = {
  status: actions.status,
  clients_list: listings.listClients,
  clients_show: actions.showClient,
  clients_kick: actions.kick,
  clients_end: actions.endSession,
  subscriptions_list: listings.listSubscriptions,
  routes: listings.showRoutes,
  retained_list: listings.listRetained,
  retained_get: actions.getRetained,
  retained_delete: actions.deleteRetained,
  publish: actions.publish,
  write: actions.write,
  subscribe: actions.subscribe,
  unsubscribe: actions.unsubscribe,
  log_get: actions.getLogFilter,
  log_set: actions.setLogFilter,
  config_show: config.showConfig,
  config_set: config.setConfig,
  reload: config.reload,
  trace_list: traces.listTraces,
  trace_start: traces.startTrace,
  trace_stop: traces.stopTrace,
  devices_list: devices.listDevices,
  denials: listings.listDenials,
  bans_list: bans.listBans,
  ban: bans.ban,
  unban: bans.unban,
  filters_list: filters.listFilters,
  filters_delete: filters.deleteFilter,
  plugins_list: plugins.listPlugins,
  plugins_load: plugins.loadPlugin,
  plugins_unload: plugins.unloadPlugin,
  plugins_reload: plugins.reloadPlugin,
  metrics: actions.metrics,
};

/** Everything that it takes from its surroundings. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly output: Output;
  readonly complain: (text: string) => void;
}

/** Resolves with the exit code. Rejects only for defects. */
export async function ctl(
  args: readonly string[],
  surroundings: Surroundings = {
    environment: process.env,
    output: standardOutput(),
    complain: (text) => console.error(text),
  },
): Promise<number> {
  const { environment, output, complain } = surroundings;
  try {
    const parsed = parseCtl(args);
    if (parsed === 'help') {
      await output.write(helpText());
      return 0;
    }
    const { command, flags } = parsed;
    const text = (value: string | true | undefined) => (value === true ? '' : value);
    const url = text(flags.url) ?? environment.ST_MQTTD_CONSOLE_URL ?? kDefaultUrl;
    const token = tokenOf(text(flags.token) ?? environment.ST_MQTTD_CONSOLE_TOKEN ?? '');
    const api = new Api({ url, token, fetch: await fetchOf(flags) });
    await run[command]({ api, output, args: parsed.args, flags });
    return 0;
  } catch (error) {
    if (!(error instanceof StMqttdError)) throw error;
    // What a client is called may be in it.
    complain(`st-mqttd ctl: ${safe(error.message)}`);
    return error.code === 'ST_CTL_USAGE' ? kUsage : kFailed;
  }
}

async function fetchOf(flags: Parsed['flags']): Promise<typeof fetch | undefined> {
  const { ca, cert, key, insecure } = flags;
  if (ca === undefined && cert === undefined && key === undefined && insecure === undefined) {
    return undefined;
  }
  const { fetchOver } = await import('./tls.js');
  const text = (value: string | true | undefined) => (value === true ? '' : value);
  return fetchOver({
    ca: text(ca),
    cert: text(cert),
    key: text(key),
    insecure: insecure === true,
  });
}

/** Never named in an error, whatever is wrong with it. */
function tokenOf(given: string): string {
  let token = given;
  if (given.startsWith('file:')) {
    const file = given.slice('file:'.length);
    try {
      token = readFileSync(file, 'utf8').trim();
    } catch (cause) {
      throw fail('ST_CTL_USAGE', { why: `reading the token: ${messageOf(cause)}` }, { cause });
    }
    if (token === '') throw fail('ST_CTL_USAGE', { why: `reading the token: ${file} is empty` });
  }
  if (!/^[\x21-\x7e]*$/.test(token)) {
    throw fail('ST_CTL_USAGE', { why: 'the token has characters that a token cannot have' });
  }
  return token;
}
