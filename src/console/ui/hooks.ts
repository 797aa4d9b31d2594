/** What the views share: where we are, what the broker says, light or dark. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api.js';
import { live, onLive } from './live.js';

/** Renders again at each tick. */
export function useLive(): typeof live {
  const [, render] = useState(0);
  useEffect(() => onLive(() => render((n) => n + 1)), []);
  return live;
}

/** "#/clients/dev-1" as ['clients', 'dev-1']. */
export function useRoute(): readonly string[] {
  const [route, setRoute] = useState(readRoute);
  useEffect(() => {
    const moved = () => setRoute(readRoute());
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  return route;
}

function readRoute(): readonly string[] {
  const [first = '', ...rest] = location.hash.replace(/^#\/?/, '').split('/');
  const [tail = '', ...more] = rest.join('/').split('?');
  try {
    return tail === '' ? [first] : [first, decodeURIComponent(tail), ...more];
  } catch {
    return [first];
  }
}

export type Theme = 'auto' | 'light' | 'dark';
const kThemeKey = 'st-mqttd.theme';
const darkQuery = matchMedia('(prefers-color-scheme: dark)');
const themeListeners = new Set<() => void>();

export function storedTheme(): Theme {
  const stored = localStorage.getItem(kThemeKey);
  return stored === 'light' || stored === 'dark' ? stored : 'auto';
}

export function applyTheme(theme: Theme): void {
  if (theme === 'auto') localStorage.removeItem(kThemeKey);
  else localStorage.setItem(kThemeKey, theme);
  document.documentElement.style.colorScheme = theme === 'auto' ? '' : theme;
  for (const listener of themeListeners) listener();
}

darkQuery.addEventListener('change', () => {
  for (const listener of themeListeners) listener();
});

/** Changes when the colours do. */
export function useThemeVersion(): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const listener = () => setVersion((n) => n + 1);
    themeListeners.add(listener);
    return () => {
      themeListeners.delete(listener);
    };
  }, []);
  return version;
}

export interface Loaded<T> {
  readonly data: T | undefined;
  readonly error: string | undefined;
  readonly loading: boolean;
  reload(): void;
}

/** Loads when `key` changes, and again every `everyMs` while the page can be seen. */
export function useLoaded<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
  everyMs = 0,
): Loaded<T> {
  const [state, setState] = useState<{ key: string; data?: T; error?: string }>({ key: '' });
  const [wish, setWish] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  // `wish`: to load again.
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async () => {
      if (document.visibilityState === 'visible') {
        try {
          const data = await latest.current(abort.signal);
          if (!abort.signal.aborted) setState({ key, data });
        } catch (error) {
          if (abort.signal.aborted) return;
          setState((before) => ({
            key,
            // Gone is gone; where the broker only does not answer, what was known stays.
            ...(before.key === key && before.data !== undefined && !isFinal(error)
              ? { data: before.data }
              : {}),
            error: error instanceof Error ? error.message : String(error),
          }));
        }
      }
      if (everyMs > 0 && !abort.signal.aborted) timer = setTimeout(() => void run(), everyMs);
    };
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, everyMs, wish]);
  const reload = useCallback(() => setWish((n) => n + 1), []);
  const isThis = state.key === key;
  return {
    data: state.data,
    error: isThis ? state.error : undefined,
    loading: !isThis,
    reload,
  };
}

function isFinal(error: unknown): boolean {
  return error instanceof ApiError && error.status >= 400 && error.status < 500;
}

/** `value`, once it has not changed for a while. */
export function useSettled<T>(value: T, ms = 250): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
