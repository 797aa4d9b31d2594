// What an accessibility checker looks for first, run inside the page: names, order, contrast, width.
import type { Page } from 'playwright-core';

/** Each finding as text; empty = none. */
export function findings(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    const show = (element: Element) => element.outerHTML.slice(0, 120);
    const visible = (element: Element) => element.checkVisibility();
    const all = (selector: string) => [...document.querySelectorAll(selector)].filter(visible);

    if (document.documentElement.lang === '') found.push('the document has no language');
    if (document.title === '') found.push('the document has no title');
    if (all('h1').length !== 1) found.push(`${all('h1').length} first headings`);
    if (all('main').length !== 1) found.push(`${all('main').length} main landmarks`);
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push(`twice: #${id}`);
    for (const reference of document.querySelectorAll('[aria-labelledby]')) {
      const id = reference.getAttribute('aria-labelledby') ?? '';
      if (document.getElementById(id) === null) found.push(`no #${id} for ${show(reference)}`);
    }
    for (const control of all('input, select, textarea')) {
      const { labels } = control as HTMLInputElement;
      const label = labels?.[0]?.textContent ?? control.getAttribute('aria-label') ?? '';
      if (label.trim() === '') found.push(`no label: ${show(control)}`);
    }
    for (const control of all('button, a[href]')) {
      const name = control.getAttribute('aria-label') ?? control.textContent ?? '';
      if (name.trim() === '') found.push(`no name: ${show(control)}`);
    }
    for (const image of all('img'))
      if (!image.hasAttribute('alt')) found.push(`no alt: ${show(image)}`);
    for (const head of all('th'))
      if (!head.hasAttribute('scope')) found.push(`no scope: ${show(head)}`);
    for (const term of all('dt, dd')) {
      if (term.closest('dl') === null) found.push(`outside a list: ${show(term)}`);
    }
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) found.push(`the page is ${scrollWidth} wide in ${clientWidth}`);

    // Contrast of text with what is behind it (WCAG 2.2, 1.4.3), by the canvas's reading of colours.
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const rgba = (color: string): number[] => {
      if (context === null) return [0, 0, 0, 0];
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = color;
      context.fillRect(0, 0, 1, 1);
      return [...context.getImageData(0, 0, 1, 1).data];
    };
    const luminance = ([r = 0, g = 0, b = 0]: number[]) => {
      const linear = (part: number) =>
        part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4;
      return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    };
    const behind = (element: Element): number[] => {
      for (let at: Element | null = element; at !== null; at = at.parentElement) {
        const color = rgba(getComputedStyle(at).backgroundColor);
        if (color[3] === 255) return color;
      }
      return [255, 255, 255, 255];
    };
    for (const element of all('body *')) {
      const own = [...element.childNodes].some(
        ({ nodeType, textContent }) => nodeType === Node.TEXT_NODE && textContent?.trim() !== '',
      );
      if (!own || (element as HTMLButtonElement).disabled === true) continue;
      const [one, two] = [
        luminance(rgba(getComputedStyle(element).color)),
        luminance(behind(element)),
      ];
      const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
      if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(2)}: ${show(element)}`);
    }
    return [...new Set(found)];
  });
}

/** What Tab reaches from the top, and what it should: both in the order of the page. */
export async function tabOrder(page: Page): Promise<{ reached: string[]; expected: string[] }> {
  await page.evaluate(() => {
    const choice = 'a[href], button, input, select, textarea, [tabindex="0"]';
    for (const [index, element] of [...document.querySelectorAll(choice)].entries()) {
      element.setAttribute('data-tab', String(index));
    }
    // Tab goes on from where the focus was last, also when that is gone.
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute('tabindex');
  });
  const expected = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLButtonElement>('[data-tab]')]
      .filter((element) => element.checkVisibility() && element.disabled !== true)
      .filter(({ tabIndex }) => tabIndex >= 0)
      .map((element) => element.dataset.tab ?? ''),
  );
  const reached: string[] = [];
  for (let at = 0; at < expected.length + 3; at++) {
    await page.keyboard.press('Tab');
    const here = await page.evaluate(() => {
      const element = document.activeElement as HTMLElement | null;
      if (element === null || element === document.body) return undefined;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const isSeen = outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 1;
      return { tab: element.dataset.tab, ring: isSeen, html: element.outerHTML.slice(0, 100) };
    });
    // Around again: the browser's own controls are not in the way.
    if (here === undefined || (reached.length > 0 && here.tab === reached[0])) break;
    if (!here.ring) throw new Error(`no focus ring: ${here.html}`);
    if (here.tab !== undefined) reached.push(here.tab);
  }
  return { reached, expected };
}
