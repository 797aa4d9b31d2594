// One chromium for a test file, and pages that note what must not happen: errors on the console, and
// requests that go anywhere but to the broker.
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

export const chromiumPath = process.env.ST_MQTTD_CHROMIUM ?? '';

export interface Watched {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Messages of the console, exceptions, refusals by the page's policy. */
  readonly errors: string[];
  /** To other origins. */
  readonly strays: string[];
}

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: 'light' | 'dark';
}

let browser: Browser | undefined;

export async function openBrowser(): Promise<void> {
  // As root, in containers, chromium's own sandbox does not start.
  browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox'] });
}

export async function closeBrowser(): Promise<void> {
  await browser?.close();
}

export async function openPage(url: string, options: PageOptions = {}): Promise<Watched> {
  if (browser === undefined) throw new Error('openBrowser() first');
  const { width = 1280, height = 900, scheme = 'light' } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const errors: string[] = [];
  const strays: string[] = [];
  const { origin, host } = new URL(url);
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('request', (request) => {
    const asked = new URL(request.url());
    if (asked.origin !== origin) strays.push(request.url());
  });
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).host !== host) strays.push(socket.url());
  });
  await page.goto(url);
  return { page, context, errors, strays };
}
