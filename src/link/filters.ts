/** A link's Topic Filters: which subscription gets a message. */
import type { Subscription } from './subscription.js';

export interface FilterEntry {
  readonly filter: string;
  /** Without `$share/<ShareName>/`. */
  readonly levels: readonly string[];
  /** Subscription Identifier; 0 = the broker takes none. */
  readonly id: number;
  readonly subscription: Subscription;
  /** It and no other. */
  readonly alone: readonly [Subscription];
}

const kLargestId = 268_435_455;

export class FilterTable {
  readonly #byFilter = new Map<string, FilterEntry>();
  readonly #byId = new Map<number, FilterEntry>();

  get(filter: string): FilterEntry | undefined {
    return this.#byFilter.get(filter);
  }
  byId(id: number): FilterEntry | undefined {
    return this.#byId.get(id);
  }
  values(): Iterable<FilterEntry> {
    return this.#byFilter.values();
  }
  get size(): number {
    return this.#byFilter.size;
  }

  add(filter: string, subscription: Subscription, withId: boolean): FilterEntry {
    const id = withId ? this.#freeId(filter) : 0;
    const levels = plainFilter(filter).split('/');
    const entry: FilterEntry = { filter, levels, id, subscription, alone: [subscription] };
    this.#byFilter.set(filter, entry);
    if (withId) this.#byId.set(id, entry);
    return entry;
  }

  remove(entry: FilterEntry): void {
    this.#byFilter.delete(entry.filter);
    this.#byId.delete(entry.id);
  }

  /** A session outlives its link: a filter gets the same id in every life of it where it can. */
  #freeId(filter: string): number {
    let id = hashText(filter) % kLargestId;
    while (this.#byId.has(id + 1)) id = (id + 1) % kLargestId;
    return id + 1;
  }
}

/** Whether a Topic Filter (in levels) matches a Topic Name (4.7). */
export function matches(levels: readonly string[], topic: string): boolean {
  const [first = ''] = levels;
  // [MQTT-4.7.2-1]
  if (topic.startsWith('$') && (first === '#' || first === '+')) return false;
  const names = topic.split('/');
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i];
    // [MQTT-4.7.1-2]: # stands for the parent level too.
    if (level === '#') return true;
    if (i >= names.length || (level !== '+' && level !== names[i])) return false;
  }
  return levels.length === names.length;
}

/** `$share/<ShareName>/<filter>` is subscribed to as <filter> (4.8.2). */
function plainFilter(filter: string): string {
  return /^\$share\/[^/]+\/(.+)$/s.exec(filter)?.[1] ?? filter;
}

/** FNV-1a over UTF-16 units. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}
