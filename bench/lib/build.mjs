// Compiles the generator and the relay with the C++ compiler that is there, into build/bench/.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { nativeSources, root } from '../../scripts/native-sources.mjs';
import { PlainError, runLogged, which } from '../../scripts/run.mjs';
import { isFresh, stamped } from '../../scripts/setup.mjs';

const folder = join(root, 'build', 'bench');
const flags = ['-std=c++20', '-O2', '-g', '-Wall', '-Wextra', '-Werror'];

export const generator = join(folder, 'generator');
export const relay = join(folder, 'relay');

export async function buildGenerator() {
  if (process.platform !== 'linux') {
    throw new PlainError(
      'The benchmark needs Linux: it uses epoll, process CPU clocks and taskset.',
    );
  }
  const [compiler, ...before] = (process.env.CXX ?? 'g++').split(' ');
  if (which(compiler) === undefined) {
    throw new PlainError(`'${compiler}' is missing: on Debian or Ubuntu, apt-get install g++`);
  }
  if (which('taskset') === undefined) {
    throw new PlainError("'taskset' is missing: on Debian or Ubuntu, apt-get install util-linux");
  }
  const inputs = ['bench/native'];
  if (isFresh('bench', inputs, generator) && isFresh('bench', inputs, relay)) return;
  mkdirSync(folder, { recursive: true });
  const sources = nativeSources('bench').map((path) => join(root, path));
  const isRelay = (path) => path.endsWith('/relay.cpp');
  await stamped('bench', inputs, async () => {
    console.error('bench: compiling the generator and the relay');
    for (const [output, files] of [
      [generator, sources.filter((path) => !isRelay(path))],
      [relay, sources.filter(isRelay)],
    ]) {
      await runLogged(compiler, [...before, ...flags, ...files, '-o', output], {
        log: `${output}.log`,
        doing: `Compiling ${output}`,
      });
    }
  });
}
