/** The log's tail for one live page: some lines at a time, each bounded. */
import { messageOf } from '../errors.js';
import type { ConsoleDeps } from './deps.js';
import type { LogLine } from './live-protocol.js';

const kLogMs = 250;
const kLogLines = 200;
const kLogText = 2000;

/** `send` says whether it was sent. Until the returned function is called. */
export function tailLog(
  deps: Pick<ConsoleDeps, 'onLog'>,
  send: (records: readonly LogLine[], lost: number) => boolean,
): () => void {
  let lines: LogLine[] = [];
  let lost = 0;
  const end = deps.onLog(({ level, module, text, fields }) => {
    if (lines.length >= kLogLines) lost++;
    else lines.push({ t: Date.now(), level, module, text: shorten(text), fields: plain(fields) });
  });
  const timer = setInterval(() => {
    if (lines.length === 0 && lost === 0) return;
    if (send(lines, lost)) lost = 0;
    else lost += lines.length;
    lines = [];
  }, kLogMs).unref();
  return () => {
    clearInterval(timer);
    end();
  };
}

/** Fields of log records may be anything, of any size: numbers stay, the rest is short text. */
function plain(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const stays = typeof value === 'number' || typeof value === 'boolean' || value === null;
    shown[name] = stays ? value : shorten(textOf(value));
  }
  return shown;
}

function textOf(value: unknown): string {
  if (value instanceof Error) return messageOf(value);
  if (typeof value !== 'object') return String(value);
  try {
    return JSON.stringify(value, (_key, inner) =>
      typeof inner === 'bigint' ? String(inner) : inner,
    );
  } catch {
    // A circle.
    return '(cannot be shown)';
  }
}

const shorten = (text: string) => (text.length > kLogText ? `${text.slice(0, kLogText)}…` : text);
