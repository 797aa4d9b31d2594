// Compiles binding.gyp where there is a C++ compiler but no make: gyp tells the compile commands
// (its compile_commands_json generator), and this runs those whose inputs changed, then links.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { PlainError } from './run.mjs';

/** What each target links, and how: the counterpart of binding.gyp's targets and `ldflags`. */
const products = {
  st_mqttd: {
    file: 'st_mqttd.node',
    folders: ['native/'],
    flags: (folder) => [
      '-shared',
      `-Wl,--version-script=${join(folder, 'native', 'addon', 'exports.map')}`,
    ],
  },
  unit_tests: {
    file: 'unit_tests',
    folders: ['native/', 'test/native/'],
    without: 'native/addon/',
    flags: () => [],
  },
};

/** Resolves to the exit code; the compiler's words go to this process's output or the log. */
function shell(command, cwd, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, { cwd, env, shell: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        output += text;
      });
    }
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 128, output }));
  });
}

function isUpToDate(object, command) {
  try {
    if (readFileSync(`${object}.command`, 'utf8') !== command) return false;
    const made = statSync(object).mtimeMs;
    const inputs = readFileSync(`${object}.d`, 'utf8')
      .replaceAll('\\\n', ' ')
      .replace(/^[^:]*:/, '')
      .trim()
      .split(/\s+/);
    return inputs.every((input) => statSync(input).mtimeMs < made);
  } catch {
    // Something is missing: compile.
    return false;
  }
}

export async function compileWithoutMake(folder, targets, configuration, env) {
  const release = join(folder, 'build', configuration);
  const compiler = env.CXX ?? 'g++';
  const commands = JSON.parse(readFileSync(join(release, 'compile_commands.json'), 'utf8')).map(
    ({ command, file }) => {
      const source = relative(folder, file);
      const object = join(release, 'objects', `${source}.o`);
      const text = command.replace(/^c\+\+/, compiler);
      return { source, object, command: `${text} -o '${object}' -MMD -MF '${object}.d'` };
    },
  );

  for (const target of targets) {
    const { file, folders, without, flags } = products[target];
    const own = commands.filter(
      ({ source }) =>
        folders.some((start) => source.startsWith(start)) &&
        !(without !== undefined && source.startsWith(without)),
    );
    const waiting = own.filter(({ object, command }) => !isUpToDate(object, command));
    const worker = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        mkdirSync(dirname(next.object), { recursive: true });
        const { code, output } = await shell(next.command, folder, env);
        if (code !== 0) {
          waiting.length = 0;
          throw new PlainError(`${output}\nCompiling ${next.source} failed`);
        }
        writeFileSync(`${next.object}.command`, next.command);
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, worker));
    const link = [
      compiler,
      ...['-pthread', '-static-libstdc++', '-static-libgcc', ...flags(folder)],
      ...['-o', `'${join(release, `${file}.new`)}'`],
      ...own.map(({ object }) => `'${object}'`),
      // A new file and a new name: a running broker keeps the one it has loaded.
      `&& mv -f '${join(release, `${file}.new`)}' '${join(release, file)}'`,
    ].join(' ');
    const { code, output } = await shell(link, folder, env);
    if (code !== 0) throw new PlainError(`${output}\nLinking ${file} failed`);
  }
}
