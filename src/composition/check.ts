/** `check`: reads what a start would read, certificates, keys, passwords and rules, and opens nothing. */
import { openWarning } from '../auth/open-warning.js';
import type { BrokerConfig } from '../config/broker-config.js';
import { loadAddon } from '../native/load.js';
import { readRules } from './rules.js';

/** Rejects with the error that the start would end with. Resolves to what it would warn of. */
export async function checkFiles(config: BrokerConfig): Promise<readonly string[]> {
  await checkTlsFiles(config);
  await checkServices(config);
  await readRules(config);
  const { checkAuth } = await import('../auth/build.js');
  await checkAuth(config);
  if (config.plugins !== undefined) {
    const { checkPlugins } = await import('../plugins/check.js');
    await checkPlugins(config.plugins);
  }
  const open = openWarning(config, false);
  return open === undefined ? [] : [open];
}

async function checkServices({ console, prometheus }: BrokerConfig): Promise<void> {
  for (const [name, service] of Object.entries({ console, prometheus })) {
    if (service?.tls === undefined) continue;
    const { checkServiceTls } = await import('../tls/service-tls.js');
    checkServiceTls(name, service.tls);
  }
}

async function checkTlsFiles({ listeners, broker }: BrokerConfig): Promise<void> {
  const secure = listeners.flatMap(({ name, tls, transport }) =>
    tls === undefined ? [] : [{ name, tls, transport }],
  );
  if (secure.length === 0) return;
  const { checkTls } = await import('../tls/tls-contexts.js');
  const { tlsCheck } = await import('./tls.js');
  const check = await tlsCheck(broker.tls_engine, loadAddon());
  for (const listener of secure) checkTls(listener, check);
}
