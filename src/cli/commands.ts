/** The commands that print and end: check, generate-config, import. */
import { writeFileSync } from 'node:fs';
import { adviceOn } from '../config/advice.js';
import type { ImportSource } from '../config/import.js';
import { loadConfig } from '../config/load.js';
import { effectiveText, effectiveValues } from '../config/report.js';
import { configTemplate, type TemplateFormat, templateFormats } from '../config/template.js';
import { fail, messageOf, systemCode } from '../errors.js';
import type { CommandLine } from './flags.js';

/** Warnings go to stderr: what is on stdout is a configuration, or JSON. */
export async function check(line: CommandLine): Promise<void> {
  const resolution = await loadConfig({ files: line.config, flags: line });
  const { checkFiles } = await import('../broker.js');
  const files = await checkFiles(resolution.config);
  const warnings = [...resolution.warnings, ...files, ...adviceOn(resolution)];
  for (const warning of warnings) console.error(`st-mqttd: ${warning}`);
  if (!line.json) {
    process.stdout.write(effectiveText(resolution));
    return;
  }
  const values = effectiveValues(resolution);
  process.stdout.write(`${JSON.stringify({ warnings, values }, null, 2)}\n`);
}

export function generateConfig(line: CommandLine): void {
  const format = oneOf('--format', templateFormats, line.format ?? 'toml');
  process.stdout.write(configTemplate(format as TemplateFormat));
}

export async function importConfig(line: CommandLine): Promise<void> {
  const { importedText, importSources } = await import('../config/import.js');
  const file = line.operand;
  if (file === undefined)
    throw fail('ST_USAGE', { why: 'import wants a file: st-mqttd import FILE' });
  const from =
    line.from === undefined
      ? undefined
      : (oneOf('--from', importSources, line.from) as ImportSource);
  const text = await importedText(file, from);
  if (line.output === undefined) {
    process.stdout.write(text);
    return;
  }
  try {
    // Never over what is there: it may be the configuration in use.
    writeFileSync(line.output, text, { flag: 'wx' });
  } catch (cause) {
    const why = systemCode(cause) === 'EEXIST' ? 'it is there already' : messageOf(cause);
    throw fail('ST_USAGE', { why: `writing ${line.output}: ${why}` }, { cause });
  }
}

function oneOf(flag: string, allowed: readonly string[], given: string): string {
  if (allowed.includes(given)) return given;
  throw fail('ST_USAGE', { why: `${flag} is "${given}"; allowed: ${allowed.join(', ')}` });
}
