// Running other programs: inherit their output or keep it, and say plainly what failed.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, closeSync, constants, mkdirSync, openSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** A failure whose message is all the reader needs: printed without a stack. */
export class PlainError extends Error {}

/** Runs a script's main function; a PlainError ends the process with its message and exit code 1. */
export async function main(body) {
  try {
    process.exitCode = (await body()) ?? 0;
  } catch (error) {
    if (!(error instanceof PlainError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

/** The full path of a program on PATH, or undefined. */
export function which(program, path = process.env.PATH ?? '') {
  for (const folder of path.split(delimiter)) {
    if (folder === '') continue;
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not here: try the next folder.
    }
  }
  return undefined;
}

/** Runs a program with this process's output; resolves to its exit code (128 for a signal). */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 128));
  });
}

/** Runs a program, passing its output on and keeping it too; resolves to { code, output }. */
export function runKeeping(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    for (const [from, to] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      from.setEncoding('utf8');
      from.on('data', (text) => {
        output += text;
        to.write(text);
      });
    }
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 128, output }));
  });
}

/** Runs a program with its output in a log file; a failure shows the end of that log. */
export async function runLogged(command, args, { log, doing, ...options }) {
  mkdirSync(dirname(log), { recursive: true });
  const file = openSync(log, 'w');
  let code;
  try {
    code = await run(command, args, { ...options, stdio: ['ignore', file, file] });
  } finally {
    closeSync(file);
  }
  if (code !== 0) {
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
    // Compilers' own messages are what helps: node-gyp's trailer of environment facts is not.
    const telling = lines.filter((line) => !/^gyp (info|http|verb)/.test(line));
    throw new PlainError(
      `${telling.slice(-60).join('\n')}\n\n${doing} failed (exit code ${code}); all output: ${log}`,
    );
  }
}

/** A program's output as text, or undefined where it cannot run or fails. */
export function ask(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', ...options });
  return result.status === 0 ? result.stdout.trim() : undefined;
}
