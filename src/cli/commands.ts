/** The commands that print and end: check, generate-config, import. */
import { loadConfig } from '../config/load.js';
import { effectiveText, effectiveValues } from '../config/report.js';
import { configTemplate, type TemplateFormat, templateFormats } from '../config/template.js';
import { fail } from '../errors.js';
import type { CommandLine } from './flags.js';

/** Warnings go to stderr: what is on stdout is a configuration, or JSON. */
export async function check(line: CommandLine): Promise<void> {
  const resolution = await loadConfig({ files: line.config, flags: line });
  for (const warning of resolution.warnings) console.error(`st-mqttd: ${warning}`);
  if (!line.json) {
    process.stdout.write(effectiveText(resolution));
    return;
  }
  const { warnings } = resolution;
  const values = effectiveValues(resolution);
  process.stdout.write(`${JSON.stringify({ warnings, values }, null, 2)}\n`);
}

export function generateConfig(line: CommandLine): void {
  const format = oneOf('--format', templateFormats, line.format ?? 'toml');
  process.stdout.write(configTemplate(format as TemplateFormat));
}

function oneOf(flag: string, allowed: readonly string[], given: string): string {
  if (allowed.includes(given)) return given;
  throw fail('ST_USAGE', { why: `${flag} is "${given}"; allowed: ${allowed.join(', ')}` });
}
