// `npm run bench:micro [-- NAME…]`: compiles and runs the microbenchmarks beside this file, each with the
// native sources it measures. Figures are for comparing one machine with itself, before and after.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { nativeSources, root } from '../../scripts/native-sources.mjs';
import { main, PlainError, run, runLogged, which } from '../../scripts/run.mjs';

const flags = [
  '-std=c++20',
  '-O2',
  '-fno-exceptions',
  '-fno-rtti',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-pthread',
];
const programs = [
  { name: 'wire', folders: ['native/wire/'] },
  { name: 'route', folders: ['native/base/', 'native/wire/', 'native/route/'] },
  { name: 'crossing', folders: ['native/base/', 'native/wire/'] },
  {
    name: 'access',
    folders: ['native/base/', 'native/wire/', 'native/route/', 'native/session/'],
  },
];

await main(async () => {
  const chosen = process.argv.slice(2);
  const [compiler, ...before] = (process.env.CXX ?? 'g++').split(' ');
  if (which(compiler) === undefined) {
    throw new PlainError(`'${compiler}' is missing: on Debian or Ubuntu, apt-get install g++`);
  }
  const folder = join(root, 'build', 'bench', 'micro');
  mkdirSync(folder, { recursive: true });
  let code = 0;
  for (const { name, folders } of programs) {
    if (chosen.length > 0 && !chosen.includes(name)) continue;
    const measured = nativeSources('core').filter((path) =>
      folders.some((prefix) => path.startsWith(prefix)),
    );
    const output = join(folder, name);
    const sources = [join('bench', 'micro', `${name}.cpp`), ...measured].map((path) =>
      join(root, path),
    );
    await runLogged(
      compiler,
      [...before, ...flags, `-I${join(root, 'native')}`, ...sources, '-o', output],
      {
        log: `${output}.log`,
        doing: `Compiling ${name}`,
      },
    );
    code ||= await run(output, []);
  }
  return code;
});
