// Tools that come from PyPI when the machine has none, each in a private environment under
// node_modules/.cache: nothing is installed outside the checkout.
import { join } from 'node:path';
import { root } from './native-sources.mjs';
import { ask, PlainError, runLogged, which } from './run.mjs';
import { say } from './setup.mjs';

/** Installs `name==version` once; returns the private environment's bin folder. */
export async function installFromPyPI(name, version, works) {
  const folder = join(root, 'node_modules', '.cache', 'st-mqttd', name);
  const bin = join(folder, 'bin');
  if (works(bin)) return bin;
  const cure = `Cure: python3 -m pip install ${name}==${version} (on Debian or Ubuntu first: apt-get install python3-venv python3-pip)`;
  if (which('python3') === undefined) throw new PlainError(`python3 is missing.\n${cure}`);
  say(`installing ${name} ${version} from PyPI into ${folder}`);
  const log = join(root, 'build', `${name}-install.log`);
  try {
    const doing = 'Making a python environment';
    await runLogged('python3', ['-m', 'venv', '--clear', folder], { log, doing });
    const install = ['-m', 'pip', 'install', '--quiet', `${name}==${version}`];
    await runLogged(join(bin, 'python'), install, { log, doing: `Installing ${name}` });
  } catch (error) {
    if (!(error instanceof PlainError)) throw error;
    throw new PlainError(`${error.message}\n\n${cure}`);
  }
  if (!works(bin)) throw new PlainError(`${name} was installed into ${folder}, but does not run.`);
  return bin;
}

/** The python whose `-m ziglang` works: the machine's, or one of ours. */
export async function pythonWithZig() {
  const works = (python) => ask(python, ['-m', 'ziglang', 'version']) !== undefined;
  if (works('python3')) return 'python3';
  const bin = await installFromPyPI('ziglang', '0.17.1', (folder) => works(join(folder, 'python')));
  return join(bin, 'python');
}

/** The folder that must stand on PATH for cmake to be found; undefined if it is already there. */
export async function cmakeFolder() {
  if (which('cmake') !== undefined) return undefined;
  return installFromPyPI(
    'cmake',
    '3.31.6',
    (folder) => ask(join(folder, 'cmake'), ['--version']) !== undefined,
  );
}
