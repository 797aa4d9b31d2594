// Running test suites and counting what they did. Every suite gives { passed, failed, skipped };
// a suite that dies without a count is one failure, never silence.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './native-sources.mjs';
import { run, runKeeping } from './run.mjs';

export function total(counts) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const count of counts) {
    sum.passed += count.passed;
    sum.failed += count.failed;
    sum.skipped += count.skipped;
  }
  return sum;
}

export function countsText({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** The last `N passed, N failed[, N skipped]` line of a native test program's output. */
export function parseCounts(output) {
  const lines = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)];
  const last = lines.at(-1);
  if (last === undefined) return undefined;
  return { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3] ?? 0) };
}

/** Runs a program that ends with a counts line; without one, or with an unexplained exit code, +1. */
export async function runNativeTests(command, args = [], options = {}) {
  const { code, output } = await runKeeping(command, args, options);
  const counts = parseCounts(output);
  if (counts === undefined) {
    console.log(`FAIL  ${command} ended with exit code ${code} and no result`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  if (code !== 0 && counts.failed === 0) {
    // For example a sanitizer's finding at exit.
    console.log(`FAIL  ${command} ended with exit code ${code} after its tests`);
    counts.failed = 1;
  }
  const failures = [];
  let above = [];
  for (const line of output.split('\n')) {
    const failed = /^FAIL {2}(.*) \((.*):\d+\)$/.exec(line);
    if (failed) failures.push({ test: failed[1], file: failed[2], text: above.join('\n') });
    above = failed || /^(run|ok|skip) /.test(line) ? [] : [...above, line].slice(-12);
  }
  return { ...counts, failures };
}

/** The same, with what failed run once more by itself; see runVitest. */
export async function runNativeTestsAgain(command, args = [], options = {}) {
  const first = await runNativeTests(command, args, options);
  const titles = (first.failures ?? []).map(({ test }) => test);
  if (titles.length === 0 || titles.length !== first.failed) return first;
  console.log('\nOnce more, alone');
  return settle(first, await runNativeTests(command, titles, options));
}

/** What holds after a second run of what failed. */
function settle(first, second) {
  if (second.failed > 0) {
    return { ...first, failures: [...first.failures, ...(second.failures ?? [])] };
  }
  const failures = first.failures.map((failure) => ({ ...failure, passedThen: true }));
  return { passed: first.passed + first.failed, failed: 0, skipped: first.skipped, failures };
}

/**
 * Runs vitest on folders or files; counts come from its JSON report. With `again`, the files in
 * which something failed run once more, alone: suites that speak over sockets under real time may
 * miss a deadline on a machine that stalls. What passes only then is named in the result, and a
 * test that fails twice has failed.
 */
export async function runVitest(filters, { again = false, ...options } = {}) {
  const first = await runVitestOnce(filters, options);
  const files = [...new Set((first.failures ?? []).map(({ file }) => file))];
  const known = files.length > 0 && files.every((file) => file !== undefined);
  if (!again || first.failed === 0 || !known) return first;
  console.log(`\nOnce more, alone: ${files.join(', ')}`);
  const second = await runVitestOnce(files, {
    ...options,
    args: [...(options.args ?? []), '--no-file-parallelism'],
  });
  return settle(first, second);
}

let reports = 0;

async function runVitestOnce(filters, { args = [], env = {}, command = [] }) {
  const folder = join(root, 'build', 'vitest');
  mkdirSync(folder, { recursive: true });
  const report = join(folder, `report-${process.pid}-${reports++}.json`);
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const [program, ...before] = [...command, process.execPath];
  const code = await run(
    program,
    [
      ...before,
      vitest,
      'run',
      ...filters,
      '--passWithNoTests',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...args,
    ],
    { cwd: root, env: { ...process.env, ...env } },
  );
  try {
    return countReport(JSON.parse(readFileSync(report, 'utf8')), code);
  } catch (error) {
    console.log(`FAIL  vitest left no readable report (exit code ${code}): ${error.message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(report, { force: true });
  }
}

/** Counts of vitest's JSON report; files that could not be loaded are failures too. */
export function countReport(report, code) {
  const failures = [];
  for (const file of report.testResults) {
    const name = relative(root, file.name);
    const failed = file.assertionResults.filter((test) => test.status === 'failed');
    for (const test of failed) {
      failures.push({ file: name, test: test.fullName, text: test.failureMessages?.[0] ?? '' });
    }
    if (file.status === 'failed' && failed.length === 0) {
      failures.push({ file: name, test: '(the file)', text: file.message ?? '' });
    }
  }
  // Unhandled errors fail a run without failing a test.
  if (code !== 0 && failures.length === 0) {
    failures.push({ test: '(the run)', text: `vitest ended with exit code ${code}` });
  }
  return {
    passed: report.numPassedTests,
    failed: failures.length,
    skipped: report.numPendingTests + report.numTodoTests,
    failures,
  };
}

/** A check that is one program: passed or failed as a whole. */
export async function runCheck(command, args) {
  const code = await run(command, args, { cwd: root });
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
}

/** Notes what could not run, with its cure, and counts it. */
export function skipped(what, cure) {
  console.log(`skip  ${what}: ${cure}`);
  return { passed: 0, failed: 0, skipped: 1 };
}

/** Last in the output, where the end of a long log is all that is kept. */
function printFailures(results) {
  for (const { name, counts } of results) {
    for (const { file, test, text, passedThen } of counts.failures ?? []) {
      console.log(
        `\n${passedThen ? 'passed only when run again' : 'FAIL'}: ${name}: ${file ?? ''} ${test}`,
      );
      for (const line of text.split('\n').slice(0, 12)) console.log(`    ${line}`);
    }
  }
}

/** Runs named suites in order, prints each one's result and the sum last; returns the exit code. */
export async function runSuites(suites) {
  const results = [];
  for (const { name, body } of suites) {
    console.log(`\n== ${name}`);
    const start = Date.now();
    let counts;
    try {
      counts = await body();
    } catch (error) {
      console.log(`FAIL  ${error.stack ?? error}`);
      counts = { passed: 0, failed: 1, skipped: 0 };
    }
    results.push({ name, counts, seconds: (Date.now() - start) / 1000 });
  }
  printFailures(results);
  const width = Math.max(...results.map(({ name }) => name.length));
  console.log('\nSuites');
  for (const { name, counts, seconds } of results) {
    const mark = counts.failed > 0 ? 'FAIL' : 'ok  ';
    console.log(
      `  ${mark}  ${name.padEnd(width)}  ${countsText(counts)} (${seconds.toFixed(1)} s)`,
    );
  }
  const sum = total(results.map(({ counts }) => counts));
  // A run that tested nothing has not passed.
  if (sum.passed === 0 && sum.failed === 0 && sum.skipped === 0) sum.failed = 1;
  console.log(`\n${countsText(sum)}`);
  return sum.failed === 0 ? 0 : 1;
}
