/** Where a relative path of a configuration begins. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/**
 * In the folder of the configuration file; where nothing is there, in the working directory, as in
 * ST-RMQTT and mosquitto. `folder` is undefined for values that stand in no file.
 */
export function absolutePath(path: string, folder: string | undefined): string {
  const here = resolve(path);
  if (folder === undefined) return here;
  const beside = resolve(folder, path);
  return beside !== here && !existsSync(beside) && existsSync(here) ? here : beside;
}
