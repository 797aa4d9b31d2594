/** `st-mqttd import`: another broker's file as ours, whoever wrote it. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fail, StMqttdError } from '../errors.js';
import { readConfigFile } from './files.js';
import { resolveConfig } from './resolve.js';

export const importSources = ['rmqtt', 'mosquitto', 'st-rmqtt'] as const;
export type ImportSource = (typeof importSources)[number];

/** The text of a configuration (TOML). Without `from`, whose file it is follows from its name and tables. */
export async function importedText(file: string, from?: ImportSource): Promise<string> {
  switch (from ?? (await sourceOf(file))) {
    case 'mosquitto': {
      const { importMosquitto } = await import('./import-mosquitto.js');
      return importMosquitto(file);
    }
    case 'rmqtt': {
      const { importRmqtt } = await import('./import-rmqtt.js');
      return await importRmqtt(file);
    }
    case 'st-rmqtt':
      return await importStRmqtt(file);
  }
}

async function sourceOf(file: string): Promise<ImportSource> {
  if (file.endsWith('.conf')) return 'mosquitto';
  const { root } = await readConfigFile(file);
  if ('listener' in root || 'node' in root || 'rpc' in root) return 'rmqtt';
  if (['v4', 'v5', 'ws', 'router', 'unified'].some((table) => table in root)) return 'st-rmqtt';
  const why = `${basename(file)} is none that import knows; say whose it is: --from rmqtt, mosquitto or st-rmqtt`;
  throw fail('ST_USAGE', { why });
}

/** It is a configuration of ours as it is: what it does not do here is said above it. */
async function importStRmqtt(file: string): Promise<string> {
  const layer = await readConfigFile(file);
  let notes: readonly string[];
  try {
    notes = resolveConfig([layer], { file }).warnings;
  } catch (error) {
    if (!(error instanceof StMqttdError)) throw error;
    notes = [error.message];
  }
  const head = [
    `# Imported from ${file} by st-mqttd import. st-mqttd reads such a file as it is; of this one it says:`,
    ...notes.map((note) => `# ${note}`),
    ...(notes.length === 0 ? ['# nothing: all of it is served'] : []),
  ];
  return `${head.join('\n')}\n\n${readFileSync(file, 'utf8').replace(/^\ufeff/, '')}`;
}
