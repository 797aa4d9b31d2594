// The live page in chromium, on a broker of numbers (mock.ts).
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Console } from '../../src/console/console.ts';
import { findings, tabOrder } from './audit.ts';
import {
  chromiumPath,
  closeBrowser,
  openBrowser,
  openPage,
  type PageOptions,
  type Watched,
} from './browser.ts';
import { type Mock, startMock } from './mock.ts';
import { soon } from './soon.ts';

const views = ['overview', 'clients', 'clients/press-007', 'topics', 'messages', 'log', 'config'];
const tokens = [
  { name: 'eve', role: 'read' as const, token: 'a/token+with=signs' },
  { name: 'otto', role: 'operate' as const, token: 'operate-token' },
];

describe.skipIf(chromiumPath === '')('the live page', () => {
  const mocks: Mock[] = [];
  const pages: Watched[] = [];
  let mock: Mock;
  beforeAll(async () => {
    await openBrowser();
    mock = await startMock();
  }, 60_000);
  afterAll(async () => {
    await closeBrowser();
    await mock.stop();
  });
  afterEach(async () => {
    // Whatever a test was about: nothing went wrong beside it, and nothing went elsewhere.
    for (const { context, errors, strays } of pages.splice(0)) {
      await context.close();
      expect(errors).toEqual([]);
      expect(strays).toEqual([]);
    }
    for (const one of mocks.splice(0)) await one.stop();
  });

  async function visit(view = '', options: PageOptions = {}, url = mock.url) {
    const watched = await openPage(`${url}#/${view}`, options);
    pages.push(watched);
    return watched.page;
  }
  /** One with tokens, or one that a test changes. */
  async function own(of: typeof tokens = []) {
    const started = await startMock(of);
    mocks.push(started);
    return started;
  }
  /** Refusals are what these tests are about: the browser notes each as an error. */
  function forgive(...allowed: RegExp[]) {
    for (const watched of pages) {
      const left = watched.errors.filter((text) => !allowed.some((one) => one.test(text)));
      watched.errors.splice(0, watched.errors.length, ...left);
    }
  }

  it('shows numbers that move', async () => {
    const page = await visit('overview');
    const legend = page.locator('.chart').first().locator('.legend');
    await soon(() => legend.innerText()).toMatch(/in [\d.,]+/);
    const first = await legend.innerText();
    await soon(() => legend.innerText()).not.toBe(first);
    expect(await page.locator('[data-tile=connected] dd').innerText()).toMatch(/^107/);
    expect(await page.getByRole('img', { name: /^Messages, the last minutes: in/ }).count()).toBe(
      1,
    );
    await soon(() =>
      page.locator('section', { hasText: 'Dropped messages' }).last().innerText(),
    ).toContain('queue full: the oldest message');
  });

  it('searches clients and turns pages', async () => {
    const page = await visit('clients');
    const rows = page.locator('tbody tr');
    await soon(() => rows.count()).toBe(50);
    await page.getByRole('button', { name: 'Next' }).click();
    await soon(() => rows.first().innerText()).toContain('press-051');
    await page.getByRole('button', { name: 'Previous' }).click();
    await soon(() => rows.first().innerText()).toContain('press-001');
    await page.getByLabel('Search').fill('press-01');
    await soon(() => rows.count()).toBe(10);
    await page.getByLabel('Show').selectOption('offline');
    await soon(() => rows.count()).toBe(1);
    expect(await rows.innerText()).toContain('press-018');
    await page.getByLabel('Search').fill('nobody');
    await soon(() => page.locator('.empty').innerText()).toBe('No session fits.');
  });

  it('shows a session, and disconnects it after asking', async () => {
    const { deps, url } = await own();
    const page = await visit('clients', {}, url);
    await page.getByRole('link', { name: 'press-007' }).click();
    await soon(() => page.locator('h1').innerText()).toBe('press-007');
    const text = await page.locator('main').innerText();
    for (const part of ['plant/press-007/set/#', 'shared as pool', 'awaiting puback', 'hall-3']) {
      expect(text).toContain(part);
    }
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('H1');
    await page.getByRole('button', { name: 'Disconnect' }).click();
    await page.keyboard.press('Escape');
    expect(await page.getByRole('dialog').count()).toBe(0);
    expect(deps.registry.kicked).toEqual([]);
    await page.getByRole('button', { name: 'Disconnect' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click();
    await soon(() => deps.registry.kicked).toEqual([['press-007', 0x98, '']]);
    await page.goto(`${url}#/clients/nobody`);
    await soon(() => page.getByRole('alert').innerText()).toContain('no session of "nobody"');
    forgive(/404/);
  });

  it('shows topics as a tree that keys walk', async () => {
    const { deps, url } = await own();
    const page = await visit('topics', {}, url);
    const item = (name: string) => page.getByRole('treeitem', { name });
    await soon(() => item('temperature').count()).toBe(6);
    await item('plant').first().focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    const value = page.locator('section', { hasText: 'Messages seen' }).last();
    await soon(() => value.innerText()).toContain('plant/hall/4/camera');
    expect(await value.innerText()).toContain('shown in base64');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    expect(await item('camera').count()).toBe(0);
    await page.keyboard.press('End');
    await soon(() => value.innerText()).toContain('plant/press-006/temperature');
    await page.getByLabel('Find in topics').fill('001/state');
    await soon(() => page.getByRole('treeitem').count()).toBe(3);
    // More topics than a page can hold: it says so, and stays quick.
    await page.getByLabel('Find in topics').fill('');
    for (let at = 0; at < 30; at++) {
      for (let n = 0; n < 400; n++) deps.say(`many/${at}/${n}`, 'x');
      await page.waitForTimeout(60);
    }
    await soon(() => page.locator('.foot').innerText()).toMatch(/faster than/);
    expect(await page.getByRole('treeitem').count()).toBeLessThanOrEqual(400);
    await page.goto(`${url}#/overview`);
    await soon(() => page.locator('h1').innerText()).toBe('Overview');
  });

  it('publishes, and shows what comes', async () => {
    const { deps, url } = await own();
    const page = await visit('messages/try%2Fthis', {}, url);
    await page.getByLabel('Topic Filter').fill('try/#');
    await page.getByRole('button', { name: 'Subscribe' }).click();
    await soon(() => deps.audits.map(({ action }) => action)).toContain('live.watch');
    await page.getByLabel('Payload', { exact: true }).fill('{"a": [1, 2]}');
    await page.getByLabel('QoS').selectOption('1');
    await page.getByLabel('Retain').check();
    await page.getByRole('button', { name: 'Publish' }).click();
    await soon(() => page.locator('.note.good').innerText()).toMatch(/Published\.$/);
    await soon(() => page.locator('.received').innerText()).toContain('"a": [');
    expect(await page.locator('.received .topic').innerText()).toBe('try/this');
    expect(deps.published).toMatchObject([
      { topic: 'try/this', payload: '{"a": [1, 2]}', options: { qos: 1, retain: true } },
    ]);
    await page.getByLabel('Topic', { exact: true }).fill('not/+/this');
    await page.getByRole('button', { name: 'Publish' }).click();
    await soon(() => page.locator('.note.bad').innerText()).toContain('Topic Name');
    forgive(/400/);
    await page.getByRole('button', { name: 'Unsubscribe' }).click();
    await page.getByLabel('Topic Filter').fill('a/#/b');
    await page.getByRole('button', { name: 'Subscribe' }).click();
    await soon(() => page.getByRole('alert').innerText()).toContain('#');
    await page.close();
    await soon(() => deps.links).toBe(0);
  });

  it('shows the log, finds in it, and changes what is logged', async () => {
    const { deps, url } = await own();
    const page = await visit('log', {}, url);
    const lines = page.locator('.log li');
    await soon(() => lines.count()).toBeGreaterThan(3);
    deps.logListeners.forEach((listener) => {
      listener({ level: 'error', module: 'auth', text: 'a needle', fields: { n: 7n } });
    });
    await page.getByLabel('Find').fill('needle n=7');
    await soon(() => lines.count()).toBe(1);
    await page.getByLabel('Find').fill('');
    await page.getByLabel('From level').selectOption('error');
    await soon(async () => new Set(await lines.locator('.lvl').allInnerTexts())).toEqual(
      new Set(['error']),
    );
    await page.getByLabel('The broker writes').fill('debug,auth=trace');
    await page.getByRole('button', { name: 'Apply' }).click();
    await soon(() => deps.filter).toBe('debug,auth=trace');
    await page.getByLabel('The broker writes').fill('=');
    await page.getByRole('button', { name: 'Apply' }).click();
    await soon(() => page.getByRole('alert').count()).toBe(1);
    forgive(/400/);
  });

  it('shows the configuration with origins and without secrets, and reloads it', async () => {
    const { deps, url } = await own();
    const page = await visit('config', {}, url);
    await page.getByLabel('Find').fill('console');
    await soon(() => page.locator('tbody').innerText()).toContain('console.listen');
    expect(await page.content()).not.toContain('very-secret-token');
    await page.getByLabel('Find').fill('max_packet_size');
    await soon(() => page.locator('tbody').innerText()).toContain('default');
    await page.getByRole('button', { name: 'Reload' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Reload' }).click();
    await soon(() => page.locator('.note.good').innerText()).toContain('log.level');
    expect(deps.reloads).toBe(1);
  });

  it('asks for a token, keeps it in the tab, and shows what the role allows', async () => {
    const { url } = await own(tokens);
    const page = await visit('overview', {}, url);
    await page.getByLabel('Token').fill('wrong');
    await page.getByRole('button', { name: 'Log in' }).click();
    await soon(() => page.getByRole('alert').innerText()).toContain('not known');
    await page.getByLabel('Token').fill('a/token+with=signs');
    await page.getByRole('button', { name: 'Log in' }).click();
    await soon(() => page.locator('.state').innerText()).toBe('live');
    expect(await page.locator('.who').innerText()).toBe('eve (read)');
    expect(page.url()).not.toContain('token');
    const kept = await page.evaluate(() => [
      JSON.stringify(localStorage),
      document.cookie,
      sessionStorage.length,
    ]);
    expect(kept).toEqual(['{}', '', 1]);
    await page.goto(`${url}#/clients/press-001`);
    await soon(() => page.locator('main').innerText()).toContain('plant/press-001');
    expect(await page.getByRole('button', { name: 'Disconnect' }).count()).toBe(0);
    for (const view of ['topics', 'messages']) {
      await page.goto(`${url}#/${view}`);
      await soon(() => page.locator('.empty').innerText()).toContain('role operate');
    }
    await page.reload();
    await soon(() => page.locator('.state').innerText()).toBe('live');
    await page.getByRole('button', { name: 'Log out' }).click();
    await soon(() => page.getByLabel('Token').count()).toBe(1);
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
    forgive(/401/);
  });

  it('says when the broker is gone, and goes on when it is back', { timeout: 40_000 }, async () => {
    const { deps, url, stop } = await startMock();
    const page = await visit('topics', {}, url);
    await soon(() => page.locator('.state').innerText()).toBe('live');
    await stop();
    await soon(() => page.locator('.state').innerText()).toBe('no connection');
    const again = new Console(deps);
    await again.start([{ host: '127.0.0.1', port: Number(new URL(url).port) }]);
    try {
      await soon(() => page.locator('.state').innerText()).toBe('live');
      deps.say('after/all', 'again');
      await soon(() => page.getByRole('treeitem', { name: 'all' }).count()).toBe(1);
    } finally {
      await page.close();
      await again.stop();
    }
    forgive(/ERR_CONNECTION_REFUSED/);
  });

  it('is light or dark as the system is, or as one chooses', async () => {
    const back = () => getComputedStyle(document.documentElement).backgroundColor;
    const dark = await visit('overview', { scheme: 'dark' });
    const light = await visit('overview', { scheme: 'light' });
    const [isDark, isLight] = [await dark.evaluate(back), await light.evaluate(back)];
    expect(isDark).not.toBe(isLight);
    await light.getByLabel('Colours').selectOption('dark');
    expect(await light.evaluate(back)).toBe(isDark);
    await light.reload();
    await soon(() => light.evaluate(back)).toBe(isDark);
    await light.getByLabel('Colours').selectOption('auto');
    expect(await light.evaluate(back)).toBe(isLight);
  });

  for (const scheme of ['light', 'dark'] as const) {
    for (const width of [360, 1600]) {
      it(`can be read and reached: ${width} px, ${scheme}`, { timeout: 90_000 }, async () => {
        const page = await visit('overview', { scheme, width });
        for (const view of views) {
          await page.goto(`${mock.url}#/${view}`);
          await page.locator('main .panel').first().waitFor();
          await page.waitForTimeout(600);
          expect.soft(await findings(page), view).toEqual([]);
          if (scheme === 'dark') continue;
          if (view === 'clients') await page.getByLabel('Search').fill('press-00');
          await page.waitForTimeout(600);
          const { reached, expected } = await tabOrder(page);
          expect.soft(reached, view).toEqual(expected);
        }
      });
    }
  }

  it('has a way past the navigation', async () => {
    const page = await visit('clients');
    await page.locator('tbody tr').first().waitFor();
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toMatch(/^Skip/);
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.getAttribute('type'))).toBe('search');
  });
});
