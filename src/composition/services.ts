/** The exporter and the console: nothing of them is loaded where they are not configured. */
import type { Broker } from '../broker.js';
import type { TlsConfig } from '../config/access-config.js';
import type { BrokerConfig } from '../config/resolve.js';
import type { Exporter } from '../metrics/exporter.js';
import { packageVersion } from '../native/load.js';
import type { Resolve } from '../reload/reloader.js';
import type { Run } from '../run.js';

export interface ServiceOwner {
  readonly broker: Broker;
  /** How the configuration is read anew, at that time. */
  readonly resolve: () => Resolve;
}

export async function startServices(
  run: Run,
  { console, prometheus }: BrokerConfig,
  { broker, resolve }: ServiceOwner,
): Promise<void> {
  const { recorder, startedAt } = run;
  if (console === undefined && prometheus === undefined) return;
  const { brokerSource } = await import('../metrics/source.js');
  const source = brokerSource(run);
  let exporter: Exporter | undefined;
  const makeExporter = async () => {
    const { Exporter } = await import('../metrics/exporter.js');
    exporter ??= new Exporter({
      source,
      build: { version: packageVersion(), startedAt },
      intervalS: prometheus?.intervalS ?? 1,
      onError: (error) => recorder.error('metrics', error),
    });
    return exporter;
  };
  run.services.push({ stop: async () => exporter?.stop() });
  const tlsFor = async (name: string, tls: TlsConfig | undefined) => {
    if (tls === undefined) return undefined;
    const { ServiceTls } = await import('../tls/service-tls.js');
    const made = new ServiceTls(name, tls, (record) => recorder.write(record));
    run.services.push({ stop: () => made.stop(), apply: () => made.reload() });
    return made;
  };
  if (prometheus !== undefined) {
    const secured = await tlsFor('prometheus', prometheus.tls);
    const addresses = await (await makeExporter()).start(prometheus.listen, secured);
    const scheme = secured === undefined ? '' : 'https://';
    const texts = addresses.map((address) => `${scheme}${address}`);
    recorder.say('notice', 'metrics', `metrics on ${texts.join(' and ')}`);
  }
  if (console === undefined) return;
  const { Console } = await import('../console/console.js');
  const { consoleDeps } = await import('../console/wiring.js');
  const deps = consoleDeps({
    broker,
    registry: run.registry,
    source,
    startedAt,
    prometheusText: async () => (await makeExporter()).text(),
    patch: (layer) => run.reloader.reload(resolve(), layer),
    log: (record) => recorder.write(record),
  });
  const service = new Console(deps, console.tokens, await tlsFor('console', console.tls));
  run.services.push({
    stop: () => service.stop(),
    // A [console] that is gone stays until the restart, and so do its tokens.
    apply: (next) => service.replaceTokens((next.console ?? console).tokens),
  });
  await service.start(console.listen);
}

export async function stopServices(run: Run | undefined): Promise<void> {
  for (const service of run?.services.splice(0) ?? []) await service.stop();
}
