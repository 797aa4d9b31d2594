/**
 * A table that is written while its rows come: the first of them give the widths, and memory holds
 * no more than those. On a terminal, lines are cut to its width; elsewhere nothing is.
 */
import type { Output } from './output.js';

export interface Column<T> {
  readonly title: string;
  readonly of: (row: T) => string;
  readonly align?: 'right';
}

const kMeasured = 200;
const kGap = '  ';
const kNarrowest = 6;

export async function writeTable<T>(
  output: Output,
  columns: readonly Column<T>[],
  rows: AsyncIterable<T> | Iterable<T>,
): Promise<void> {
  let held: string[][] | undefined = [columns.map(({ title }) => title)];
  let widths: number[] = [];
  const flush = async () => {
    if (held === undefined) return;
    widths = shrink(measure(held), output.width);
    const lines = held.map((cells) => line(columns, cells, widths, output.width));
    held = undefined;
    await output.write(lines.join(''));
  };
  for await (const row of rows) {
    const cells = columns.map(({ of }) => of(row));
    if (held === undefined) {
      await output.write(line(columns, cells, widths, output.width));
    } else {
      held.push(cells);
      if (held.length > kMeasured) await flush();
    }
  }
  await flush();
}

function measure(rows: readonly (readonly string[])[]): number[] {
  const widths: number[] = [];
  for (const cells of rows) {
    for (const [index, text] of cells.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, textWidth(text));
    }
  }
  return widths;
}

/** Takes from the widest column until the line fits. */
function shrink(widths: readonly number[], available: number | undefined): number[] {
  const fitted = [...widths];
  if (available === undefined) return fitted;
  const total = () => fitted.reduce((sum, width) => sum + width, kGap.length * (fitted.length - 1));
  while (total() > available) {
    const widest = fitted.indexOf(Math.max(...fitted));
    const second = Math.max(kNarrowest, ...fitted.filter((_, index) => index !== widest));
    const width = fitted[widest] ?? 0;
    if (width <= kNarrowest) break;
    const over = total() - available;
    fitted[widest] = Math.max(kNarrowest, width - over, Math.min(second, width - 1));
  }
  return fitted;
}

function line(
  columns: readonly Column<never>[] | readonly { readonly align?: 'right' }[],
  cells: readonly string[],
  widths: readonly number[],
  available: number | undefined,
): string {
  const texts = cells.map((text, index) => {
    const width = widths[index] ?? 0;
    const shown = available === undefined ? text : cut(text, width);
    const padding = ' '.repeat(Math.max(0, width - textWidth(shown)));
    return columns[index]?.align === 'right' ? padding + shown : shown + padding;
  });
  return `${texts.join(kGap).trimEnd()}\n`;
}

function cut(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let shown = '';
  let used = 0;
  for (const character of text) {
    used += textWidth(character);
    if (used > width - 1) break;
    shown += character;
  }
  return `${shown}…`;
}

/** Combining marks, joiners, variation selectors: they take no column of their own. */
const kNone = /^(?:\p{Mn}|\p{Me}|\u200c|\u200d|\ufe0f)$/u;
const kWide =
  /^(?:[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3]|[\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}]|[\u{20000}-\u{3fffd}])$/u;

/** Columns of a terminal: East Asian wide characters and emoji take two. */
export function textWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) {
    if (!kNone.test(character)) width += kWide.test(character) ? 2 : 1;
  }
  return width;
}
