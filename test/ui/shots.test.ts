// Pictures of every view, to be looked at: npm run test:ui with ST_MQTTD_UI_SHOTS=FOLDER.
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeBrowser, openBrowser, openPage } from './browser.ts';
import { type Mock, startMock } from './mock.ts';

const folder = process.env.ST_MQTTD_UI_SHOTS;
const sizes = [
  { name: 'narrow', width: 360, height: 780 },
  { name: 'wide', width: 1600, height: 1000 },
];
const views = [
  'overview',
  'clients',
  'clients/press-007',
  'topics',
  'messages/plant%2Fpress-001%2Fset',
  'log',
  'config',
];

/** A view as it is while someone works with it. */
async function use(page: Page, view: string): Promise<void> {
  if (view === 'clients/press-007') {
    await page.getByRole('button', { name: 'Disconnect' }).click();
  } else if (view === 'topics') {
    await page.getByRole('treeitem', { name: 'state' }).first().click();
  } else if (view.startsWith('messages')) {
    await page.getByLabel('Topic Filter').fill('plant/press-001/#');
    await page.getByRole('button', { name: 'Subscribe' }).click();
    await page.getByLabel('Payload', { exact: true }).fill('{"speed": 45}');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.waitForTimeout(600);
  }
}

describe.skipIf(folder === undefined)('pictures', () => {
  let mock: Mock;
  beforeAll(async () => {
    mock = await startMock([], 10);
    await openBrowser();
  });
  afterAll(async () => {
    await closeBrowser();
    await mock.stop();
  });

  for (const size of sizes) {
    for (const scheme of ['light', 'dark'] as const) {
      it(`${size.name}, ${scheme}`, { timeout: 120_000 }, async () => {
        const { page, context, errors } = await openPage(mock.url, { ...size, scheme });
        await page.waitForTimeout(scheme === 'light' ? 12_000 : 2000);
        for (const view of views) {
          await page.goto(`${mock.url}#/${view}`);
          await page.waitForTimeout(1500);
          await use(page, view);
          const name = `${size.name}-${scheme}-${view.replace(/\W+/g, '_')}.png`;
          await page.screenshot({ path: join(folder ?? '', name) });
        }
        expect(errors).toEqual([]);
        await context.close();
      });
    }
  }
});
