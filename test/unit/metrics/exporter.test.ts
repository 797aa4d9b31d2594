// The exporter over HTTP: routes, formats, staleness, failure, stop.
import { createServer } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { Exporter, type ExporterDeps } from '../../../src/metrics/exporter.ts';
import { parseExposition } from './parse.js';
import { build, countersOf, sourceOf } from './samples.js';

const exporters: Exporter[] = [];
afterEach(async () => {
  for (const exporter of exporters.splice(0)) await exporter.stop();
  vi.restoreAllMocks();
});

const loopback = [{ host: '127.0.0.1', port: 0 }];

async function started(deps: Partial<ExporterDeps> = {}) {
  const errors: unknown[] = [];
  const exporter = new Exporter({
    source: sourceOf(),
    build,
    intervalS: 0,
    onError: (error) => errors.push(error),
    ...deps,
  });
  exporters.push(exporter);
  const [address] = await exporter.start(loopback);
  return { exporter, errors, url: `http://${address}` };
}

test('/ and /metrics answer, with whatever query', async () => {
  const { url } = await started();
  for (const path of ['/', '/metrics', '/metrics?a=/b', '']) {
    const answer = await fetch(url + path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.headers.get('etag')).toBeNull();
    expect(parseExposition(await answer.text()).length).toBeGreaterThan(50);
  }
  const head = await fetch(`${url}/metrics`, { method: 'HEAD' });
  expect(head.status).toBe(200);
  expect(await head.text()).toBe('');
});

test('other paths are 404, other methods 405', async () => {
  const { url } = await started();
  expect((await fetch(`${url}/metric`)).status).toBe(404);
  expect((await fetch(`${url}/metrics/`)).status).toBe(404);
  expect((await fetch(`${url}/%2e%2e/etc/passwd`)).status).toBe(404);
  const posted = await fetch(`${url}/metrics`, { method: 'POST', body: 'x' });
  expect(posted.status).toBe(405);
  expect(posted.headers.get('allow')).toBe('GET, HEAD');
});

test.each([
  ['application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5', 'openmetrics'],
  ['application/openmetrics-text; version=0.0.1', 'openmetrics'],
  ['application/openmetrics-text;q=0,text/plain', 'text/plain'],
  ['application/openmetrics-text-not', 'text/plain'],
  ['*/*', 'text/plain'],
])('Accept: %s gets %s', async (accept, type) => {
  const { url } = await started();
  const answer = await fetch(`${url}/metrics`, { headers: { accept } });
  expect(answer.headers.get('content-type')).toContain(type);
  expect((await answer.text()).endsWith('# EOF\n')).toBe(type === 'openmetrics');
});

test('within the interval the counters are not read again', async () => {
  const source = sourceOf();
  const counters = vi.spyOn(source, 'counters');
  const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
  const { url, exporter } = await started({ source, intervalS: 2 });
  const first = await (await fetch(url)).text();
  counters.mockReturnValue(countersOf(5));
  now.mockReturnValue(2999);
  expect(await (await fetch(url)).text()).toBe(first);
  expect(counters).toHaveBeenCalledTimes(1);
  now.mockReturnValue(3000);
  expect(await (await fetch(url)).text()).not.toBe(first);
  expect(await exporter.text()).toContain('st_mqttd_received_bytes_total');
  expect(counters).toHaveBeenCalledTimes(2);
});

test('a failure is 500 without its text, is told, and is not kept', async () => {
  const source = sourceOf();
  vi.spyOn(source, 'tables').mockImplementationOnce(() => {
    throw new Error('secret');
  });
  const { url, errors } = await started({ source, intervalS: 60 });
  const failed = await fetch(url);
  expect(failed.status).toBe(500);
  expect(await failed.text()).not.toContain('secret');
  expect(errors).toHaveLength(1);
  expect((await fetch(url)).status).toBe(200);
});

test('an address in use is ST_LISTEN, and leaves nothing open', async () => {
  const other = createServer();
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
  const address = other.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const exporter = new Exporter({ source: sourceOf(), build, intervalS: 0, onError: () => {} });
  await expect(
    exporter.start([...loopback, { host: '127.0.0.1', port: address.port }]),
  ).rejects.toMatchObject({ code: 'ST_LISTEN', message: expect.stringContaining('in use') });
  expect(await exporter.start(loopback)).toHaveLength(1);
  await exporter.stop();
  other.close();
});

test('stop() ends open connections, and may come twice', async () => {
  const { exporter, url } = await started();
  await fetch(url);
  await exporter.stop();
  await exporter.stop();
  await expect(fetch(url)).rejects.toThrow();
});

test('the event loop’s lag is measured while it runs', async () => {
  const { exporter } = await started();
  await new Promise((done) => setTimeout(done, 60));
  const end = performance.now() + 150;
  while (performance.now() < end);
  await new Promise((done) => setTimeout(done, 60));
  const max = /event_loop_lag_seconds\{stat="max"\} (\S+)/.exec(await exporter.text())?.[1];
  expect(Number(max)).toBeGreaterThan(0.08);
});
