// Builds with CMakeLists.txt through cmake-js: sanitizers, fuzzers, mutants. Each set of options has
// a folder of its own under build/, so that switching between them compiles nothing anew.
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { root } from './native-sources.mjs';
import { cmakeFolder } from './python-tool.mjs';
import { runLogged } from './run.mjs';

/** Configures and builds; returns the folder that holds the programs. */
export async function cmakeBuild(name, options, { targets = [] } = {}) {
  const folder = join(root, 'build', name);
  const extra = await cmakeFolder();
  const PATH = [extra, process.env.PATH].filter((part) => part !== undefined).join(delimiter);
  const cmakeJs = join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js');
  const common = [
    `--out=${folder}`,
    `--parallel=${availableParallelism()}`,
    ...Object.entries(options).map(([key, value]) => `--CD${key}=${value}`),
  ];
  const step = (command, ...args) =>
    runLogged(process.execPath, [cmakeJs, command, ...common, ...args], {
      cwd: root,
      env: { ...process.env, PATH },
      log: join(root, 'build', `${name}-${command}.log`),
      doing: `cmake-js ${command} (${name})`,
    });
  await step('configure');
  if (targets.length === 0) await step('build');
  for (const target of targets) await step('build', `--target=${target}`);
  return folder;
}
