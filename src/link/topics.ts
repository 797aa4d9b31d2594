/** Topic Names and Topic Filters that a link is given: checked (4.7), and encoded once. */
import { fail } from '../errors.js';
import { encodeString } from './encode.js';

const kMaxBytes = 65_535;
const kCachedTopics = 256;

/** Topic Names as bytes with their length; the latest ones are kept. */
export class TopicWriter {
  readonly #known = new Map<string, Buffer>();

  encode(topic: string): Buffer {
    const known = this.#known.get(topic);
    if (known !== undefined) return known;
    checkTopic(topic);
    const bytes = encodeString(topic);
    if (this.#known.size >= kCachedTopics) this.#known.clear();
    this.#known.set(topic, bytes);
    return bytes;
  }
}

/** Throws ST_ARGUMENT for what is no Topic Name (4.7). */
export function checkTopic(topic: unknown, doing = 'publishing', name = 'topic'): void {
  const fits = isText(topic) && !/[+#]/.test(topic);
  if (!fits) refuse(doing, name, topic, 'a Topic Name: 1 to 65535 bytes without +, # and NUL');
}

export function checkFilter(filter: unknown, doing = 'subscribing'): void {
  if (!isFilter(filter)) {
    refuse(
      doing,
      'filter',
      filter,
      'a Topic Filter: 1 to 65535 bytes without NUL, + alone in its level, # alone in the last one',
    );
  }
}

export function isFilter(filter: unknown): filter is string {
  return isText(filter) && filter.split('/').every(isLevel);
}

function isText(text: unknown): text is string {
  return (
    typeof text === 'string' &&
    text !== '' &&
    !text.includes('\0') &&
    Buffer.byteLength(text) <= kMaxBytes
  );
}

function isLevel(level: string, index: number, levels: readonly string[]): boolean {
  if (level === '+') return true;
  if (level === '#') return index === levels.length - 1;
  return !/[+#]/.test(level);
}

function refuse(doing: string, name: string, found: unknown, allowed: string): never {
  throw fail('ST_ARGUMENT', { doing, name, found: textOf(found), allowed });
}

function textOf(found: unknown): string {
  if (typeof found !== 'string') return typeof found;
  return JSON.stringify(found.length > 200 ? `${found.slice(0, 200)}…` : found);
}

/** Whether it can be a level of a topic of its own. */
export function isFitDeviceId(id: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is what is looked for
  return id !== '' && id !== 'me' && !/[/+#\x00]/.test(id);
}
