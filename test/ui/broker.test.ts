// The live page on the broker itself: a process with a configuration, and real MQTT clients.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accepts, type BrokerProcess, freePort, startProcess } from '../e2e/broker-process.ts';
import { Client } from '../e2e/mqttjs-client.ts';
import { eventually } from '../harness/eventually.ts';
import { chromiumPath, closeBrowser, openBrowser, openPage, type Watched } from './browser.ts';
import { soon } from './soon.ts';

const token = 'only/for=tests';

describe.skipIf(chromiumPath === '')('the live page on a running broker', () => {
  let broker: BrokerProcess;
  let watched: Watched;
  let url: string;
  const clients: Client[] = [];

  beforeAll(async () => {
    const port = await freePort();
    broker = await startProcess(
      `[console]\nlisten = "127.0.0.1:${port}"\n[console.tokens]\nops = "${token}"\n`,
    );
    url = `http://127.0.0.1:${port}/ui/`;
    await eventually(async () => expect(await accepts(port)).toBe(true));
    await openBrowser();
    watched = await openPage(url);
    const { page } = watched;
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.locator('.state.open').waitFor();
    // Before the login the page asked who it is, and was told to log in.
    watched.errors.splice(0);
    for (const clientId of ['pump-1', 'pump-2', 'valve-1']) {
      clients.push(await Client.open(broker.port, 5, { clientId }));
    }
  }, 60_000);
  afterAll(async () => {
    for (const { mqtt } of clients) mqtt.end(true);
    await closeBrowser();
    const { code } = await broker.stop();
    expect(code).toBe(0);
    expect(watched.errors.filter((text) => !/ERR_CONNECTION_REFUSED/.test(text))).toEqual([]);
    expect(watched.strays).toEqual([]);
  });
  const go = async (view: string) => {
    await watched.page.goto(`${url}#/${view}`);
    return watched.page;
  };
  const [one, two] = [() => clients[0] as Client, () => clients[1] as Client];

  it('moves when a client publishes', { timeout: 30_000 }, async () => {
    const page = await go('overview');
    await soon(() => page.locator('[data-tile=connected] dd').innerText()).toMatch(/^3\b/);
    const messages = page.locator('.chart').first().locator('.legend');
    await soon(() => messages.innerText()).toMatch(/in 0\/s/);
    await two().mqtt.subscribeAsync('pump/#');
    const publish = setInterval(() => one().mqtt.publish('pump/1/speed', '1450'), 5);
    await soon(() => messages.innerText()).toMatch(/in \d{2,3}\/s\s+out \d{2,3}\/s/);
    const latency = page.locator('.chart').nth(2).locator('.legend');
    await soon(() => latency.innerText()).toMatch(/p99 [\d.]+ (µs|ms)/);
    clearInterval(publish);
    await soon(() => messages.innerText()).toMatch(/in 0\/s/);
  });

  it('finds a client, and closes its connection', { timeout: 30_000 }, async () => {
    const page = await go('clients');
    await page.getByLabel('Search').fill('pump');
    await soon(() => page.locator('tbody tr').count()).toBe(2);
    await page.getByRole('link', { name: 'pump-2' }).click();
    await soon(() => page.locator('main').innerText()).toContain('pump/#');
    await page.getByRole('button', { name: 'Disconnect' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click();
    await soon(() => two().mqtt.connected).toBe(false);
    expect(one().mqtt.connected).toBe(true);
    // Its session ended with its connection.
    await soon(() => page.getByRole('alert').innerText()).toContain('no session of "pump-2"');
    watched.errors.splice(0);
  });

  it('shows topics with their values, the retained ones first', { timeout: 30_000 }, async () => {
    await one().mqtt.publishAsync('hall/4/door', 'open', { retain: true, qos: 1 });
    const page = await go('topics');
    const door = page.getByRole('treeitem', { name: 'door' });
    await soon(() => door.innerText()).toMatch(/retained\s+open/);
    await one().mqtt.publishAsync('hall/4/door', 'closed', { qos: 1 });
    await soon(() => door.innerText()).toContain('closed');
  });

  it('publishes to a client, and receives from one', { timeout: 30_000 }, async () => {
    await one().mqtt.subscribeAsync('to/pump');
    const page = await go('messages');
    await page.getByLabel('Topic Filter').fill('from/+');
    await page.getByRole('button', { name: 'Subscribe' }).click();
    await soon(() => page.locator('main').innerText()).toContain('Subscribed at QoS 0');
    await page.getByLabel('Topic', { exact: true }).fill('to/pump');
    await page.getByLabel('Payload', { exact: true }).fill('faster');
    await page.getByRole('button', { name: 'Publish' }).click();
    expect((await one().next()).text).toBe('faster');
    await soon(async () => {
      await one().mqtt.publishAsync('from/pump', 'as you wish', { qos: 1 });
      return page.locator('.received').innerText();
    }).toContain('as you wish');
  });

  it('survives a flood: bounded, and it says what it left out', { timeout: 60_000 }, async () => {
    const page = await go('topics');
    await page.getByRole('treeitem').first().waitFor();
    for (let at = 0; at < 20_000; at++) {
      one().mqtt.publish(`flood/${at % 5000}`, String(at));
      if (at % 500 === 0) await page.waitForTimeout(10);
    }
    await soon(() => page.locator('.foot').innerText()).toContain('faster than they are shown');
    await go('overview');
    await soon(() => page.locator('.chart').first().locator('.legend').innerText()).toMatch(
      /in 0\/s/,
    );
    expect(one().mqtt.connected).toBe(true);
  });

  it('follows the log as its filter is changed', { timeout: 30_000 }, async () => {
    const page = await go('log');
    await page.getByLabel('The broker writes').fill('debug');
    await page.getByRole('button', { name: 'Apply' }).click();
    await soon(() => page.getByRole('button', { name: 'Apply' }).isDisabled()).toBe(true);
    clients.push(await Client.open(broker.port, 4, { clientId: 'newcomer' }));
    await soon(() => page.locator('.log').innerText()).toContain('newcomer');
    expect(broker.errors()).not.toContain(token);
    expect(await page.content()).not.toContain(token);
  });

  it('shows where the configuration is from', async () => {
    const page = await go('config');
    await page.getByLabel('Only what is set').check();
    await soon(() => page.locator('tbody').innerText()).toMatch(/st-mqttd\.toml/);
    expect(await page.content()).not.toContain(token);
  });

  it('lets the broker stop while it is open', { timeout: 30_000 }, async () => {
    const began = Date.now();
    const { code } = await broker.stop();
    expect(code).toBe(0);
    expect(Date.now() - began).toBeLessThan(5000);
    await soon(() => watched.page.locator('.state').innerText()).toBe('no connection');
  });
});
