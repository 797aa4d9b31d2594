#!/usr/bin/env node
/** `st-mqttd`. What is not needed for the start is not loaded. */
import { fail, StMqttdError } from '../errors.js';
import { parseCommandLine } from './flags.js';

async function main(args: readonly string[]): Promise<void> {
  if (args[0] === 'ctl') {
    const { ctl } = await import('./ctl/main.js');
    process.exitCode = await ctl(args.slice(1));
    return;
  }
  if (args[0] === 'passwd') {
    const { passwd } = await import('./passwd.js');
    process.exitCode = await passwd(args.slice(1));
    return;
  }
  const line = parseCommandLine(args);
  if (line.help) {
    const { helpText } = await import('./help.js');
    console.log(await helpText());
  } else if (line.version) {
    const { packageVersion } = await import('../native/load.js');
    console.log(packageVersion());
  } else if (line.command === 'generate-config') {
    const { generateConfig } = await import('./commands.js');
    generateConfig(line);
  } else if (line.command === 'check') {
    const { check } = await import('./commands.js');
    await check(line);
  } else if (line.command === 'import') {
    const { importConfig } = await import('./commands.js');
    await importConfig(line);
  } else if (line.command === 'ctl' || line.command === 'passwd') {
    throw fail('ST_USAGE', { why: `${line.command} stands before its flags` });
  } else {
    const { run } = await import('./run.js');
    await run(line);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // What an operator can mend is one line; anything else is a defect and keeps its stack.
  console.error(error instanceof StMqttdError ? `st-mqttd: ${error.message}` : error);
  process.exitCode = 1;
}
