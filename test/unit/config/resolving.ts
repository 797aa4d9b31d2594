// Resolves configuration text as the command line does.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfigFile } from '../../../src/config/files.ts';
import { environmentLayer, type Flags, flagLayer } from '../../../src/config/layers.ts';
import { type Resolution, resolveConfig } from '../../../src/config/resolve.ts';
import { StMqttdError } from '../../../src/errors.ts';

export interface Given {
  name?: string;
  env?: Record<string, string>;
  flags?: Partial<Flags>;
}

/** Paths in messages are the file's name alone. */
export async function resolveText(text: string, given: Given = {}): Promise<Resolution> {
  const { name = 'a.toml', env = {}, flags = {} } = given;
  const folder = mkdtempSync(join(tmpdir(), 'st-mqttd-config-'));
  const file = join(folder, name);
  writeFileSync(file, text);
  try {
    const layers = [
      await readConfigFile(file),
      environmentLayer(env),
      flagLayer({ listen: [], verbose: 0, ...flags }),
    ].filter((layer) => layer !== undefined);
    const resolution = resolveConfig(layers, { file });
    const short = (line: string) => line.replaceAll(file, name);
    return { ...resolution, warnings: resolution.warnings.map(short) };
  } catch (error) {
    if (!(error instanceof StMqttdError)) throw error;
    throw new StMqttdError(error.code, error.message.replaceAll(file, name), {
      cause: error.cause,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The error that a configuration stops the start with. */
export async function refusal(text: string, given: Given = {}): Promise<StMqttdError> {
  try {
    await resolveText(text, given);
  } catch (error) {
    if (error instanceof StMqttdError) return error;
    throw error;
  }
  throw new Error(`accepted: ${text}`);
}
