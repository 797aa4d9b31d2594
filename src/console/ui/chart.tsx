/** A chart over the last minutes, by uPlot. Its newest values stand beside it as text. */
import { useEffect, useRef, useState } from 'preact/hooks';
import UPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import * as format from './format.js';
import { useThemeVersion } from './hooks.js';
import type { Tick } from './live.js';

export interface Series {
  readonly label: string;
  /** A custom property of style/base.css. */
  readonly color: '--s1' | '--s2' | '--s3' | '--bad';
  readonly of: (tick: Tick) => number | null;
}

const kHeight = 150;
const kFewest = 60;
const kSync = 'overview';

export function Chart(props: {
  readonly title: string;
  readonly ticks: readonly Tick[];
  readonly series: readonly Series[];
  readonly show: (value: number) => string;
  readonly axis: (value: number) => string;
}) {
  const { title, ticks, series, show, axis } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot>(null);
  const [at, setAt] = useState<number | null>(null);
  const theme = useThemeVersion();

  // Made anew with the theme: colours are read once.
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const color = colorReader(element);
    const made = new UPlot(
      options({ width: element.clientWidth, series, axis, color, onCursor: setAt }),
      dataOf([], series),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => {
      made.setSize({ width: element.clientWidth, height: kHeight });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [theme]);

  const last = ticks.at(-1);
  // `ticks` is changed in place: its last one says that it was.
  useEffect(() => {
    plot.current?.setData(dataOf(ticks, series));
  }, [last, theme]);

  const shown = at === null ? last : ticks[at - missingOf(ticks)];
  const text = (tick: Tick | undefined, { of }: Series) => {
    const value = tick === undefined ? null : of(tick);
    return value === null ? '–' : show(value);
  };
  const spoken = series.map((one) => `${one.label} ${text(last, one)}`).join(', ');
  return (
    <section class="panel chart">
      <header>
        <h2>
          {title} {at !== null && shown !== undefined && <small>{format.time(shown.t)}</small>}
        </h2>
        <ul class="legend">
          {series.map((one) => (
            <li key={one.label}>
              <i style={{ background: `var(${one.color})` }} aria-hidden="true" />
              {one.label} <b>{text(shown, one)}</b>
            </li>
          ))}
        </ul>
      </header>
      <div ref={box} class="plot" role="img" aria-label={`${title}, the last minutes: ${spoken}`} />
    </section>
  );
}

/** How many seconds are before the first tick: at least a minute is shown. */
const missingOf = (ticks: readonly Tick[]) => Math.max(0, kFewest - ticks.length);

function dataOf(ticks: readonly Tick[], series: readonly Series[]): UPlot.AlignedData {
  const missing = missingOf(ticks);
  const xs: number[] = [];
  const rows: (number | null)[][] = series.map(() => []);
  const first = (ticks[0]?.t ?? Date.now()) / 1000;
  for (let at = 0; at < missing; at++) {
    xs.push(first - missing + at);
    for (const row of rows) row.push(null);
  }
  for (const tick of ticks) {
    xs.push(tick.t / 1000);
    for (const [index, { of }] of series.entries()) rows[index]?.push(of(tick));
  }
  return [xs, ...rows];
}

type ReadColor = (property: string) => string;

/** light-dark() in a custom property is only resolved where it is used. */
function colorReader(element: HTMLElement): ReadColor {
  return (property) => {
    const probe = document.createElement('i');
    probe.style.color = `var(${property})`;
    element.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
}

function options(of: {
  readonly width: number;
  readonly series: readonly Series[];
  readonly axis: (value: number) => string;
  readonly color: ReadColor;
  readonly onCursor: (at: number | null) => void;
}): UPlot.Options {
  const { width, series, axis, color, onCursor } = of;
  const [muted, grid] = [color('--muted'), color('--grid')];
  const axes = {
    stroke: muted,
    font: '11px system-ui, sans-serif',
    grid: { stroke: grid, width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: kHeight,
    legend: { show: false },
    padding: [8, 8, 0, 0],
    cursor: {
      sync: { key: kSync },
      y: false,
      points: { size: 5 },
      drag: { x: false, y: false, setScale: false },
    },
    scales: {
      x: { time: true },
      y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.12 : 1] },
    },
    axes: [
      { ...axes, space: 64, size: 24, values: (_plot, at) => at.map((s) => minute(s * 1000)) },
      { ...axes, size: 52, space: 32, values: (_plot, at) => at.map(axis) },
    ],
    series: [
      {},
      ...series.map((one, index) => ({
        label: one.label,
        stroke: color(one.color),
        width: 1.5,
        points: { show: false },
        ...(index === 0 ? { fill: faded(color(one.color)) } : {}),
      })),
    ],
    hooks: {
      setCursor: [({ cursor }) => onCursor(cursor.idx ?? null)],
    },
  };
}

function minute(ms: number): string {
  const [h, m, s] = format.time(ms).split(':');
  return s === '00' ? `${h}:${m}` : `${h}:${m}:${s}`;
}

/** "rgb(1, 2, 3)" nearly transparent. */
function faded(rgb: string): string {
  const numbers = rgb.match(/[\d.]+/g)?.slice(0, 3) ?? [];
  return `rgba(${numbers.join(', ')}, 0.1)`;
}
