// Running test suites and counting what they did. Every suite gives { passed, failed, skipped };
// a suite that dies without a count is one failure, never silence.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
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
  return counts;
}

let reports = 0;

/** Runs vitest on folders or files; counts come from its JSON report. */
export async function runVitest(filters, { args = [], env = {}, command = [] } = {}) {
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
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((t) => t.status !== 'failed'),
  ).length;
  const counts = {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken,
    skipped: report.numPendingTests + report.numTodoTests,
  };
  // Unhandled errors fail a run without failing a test.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
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
