/** The exporter and the console: nothing of them is loaded where they are not configured. */
import type { Broker } from '../broker.js';
import type { TlsConfig } from '../config/access-config.js';
import { atPlace } from '../config/places.js';
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
  const tlsFor = async (name: 'console' | 'prometheus', tls: TlsConfig | undefined) => {
    if (tls === undefined) return undefined;
    const { checkServiceTls, ServiceTls } = await import('../tls/service-tls.js');
    const made = new ServiceTls(name, tls, (record) => recorder.write(record));
    run.services.push({
      stop: () => made.stop(),
      // Another table is in effect from the next start on, but that start must not fail for it.
      prepare: async (next) => {
        for (const table of [tls, next[name]?.tls]) {
          if (table !== undefined) checkServiceTls(name, table);
        }
      },
      apply: () => made.reload(),
    });
    return made;
  };
  if (prometheus !== undefined) {
    const secured = await tlsFor('prometheus', prometheus.tls);
    const starting = (await makeExporter()).start(prometheus.listen, secured);
    const addresses = await placed(starting, prometheus, prometheus.asked);
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
  await placed(service.start(console.listen), console, 'listen');
}

/** What cannot be listened on is told with the place that asks for it. */
async function placed<T>(starting: Promise<T>, table: object, key: string): Promise<T> {
  try {
    return await starting;
  } catch (error) {
    throw atPlace(error, table, key);
  }
}

export async function stopServices(run: Run | undefined): Promise<void> {
  for (const service of run?.services.splice(0) ?? []) await service.stop();
}
