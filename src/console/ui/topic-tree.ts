/** Topics by their levels, with the last value of each: bounded, and without a page around it. */
import type { TopicValue } from '../live-protocol.js';

export interface TopicNode {
  readonly level: string;
  readonly topic: string;
  readonly depth: number;
  readonly parent: TopicNode | undefined;
  readonly children: Map<string, TopicNode>;
  value: TopicValue | undefined;
  /** Messages of this topic and of those below it. */
  messages: number;
  /** When the last of them came. */
  t: number;
}

export const kMaxNodes = 2000;
const kMaxDepth = 32;

export class TopicTree {
  readonly root: TopicNode = node('', '', -1, undefined);
  #nodes = 0;
  /** Messages of topics that had no room. */
  ignored = 0;

  get size(): number {
    return this.#nodes;
  }

  add(value: TopicValue): void {
    const levels = value.topic.split('/');
    // Below that depth, one node has what is left.
    if (levels.length > kMaxDepth) levels.push(levels.splice(kMaxDepth - 1).join('/'));
    if (!this.#hasRoom(levels)) {
      this.ignored += value.count;
      return;
    }
    let at = this.root;
    for (const level of levels) {
      let child = at.children.get(level);
      if (child === undefined) {
        const topic = at === this.root ? level : `${at.topic}/${level}`;
        child = node(level, topic, at.depth + 1, at);
        at.children.set(level, child);
        this.#nodes++;
      }
      child.messages += value.count;
      child.t = value.t;
      at = child;
    }
    at.value = value;
  }

  #hasRoom(levels: readonly string[]): boolean {
    let at: TopicNode | undefined = this.root;
    let missing = 0;
    for (const level of levels) {
      at = at?.children.get(level);
      if (at === undefined) missing++;
    }
    return this.#nodes + missing <= kMaxNodes;
  }

  /** Nodes whose ancestors are all open, in the order of their levels; at most `limit`. */
  visible(isOpen: (node: TopicNode) => boolean, fits: string, limit: number): TopicNode[] {
    const rows: TopicNode[] = [];
    const wanted = fits === '' ? undefined : this.#fitting(fits.toLowerCase());
    const visit = (from: TopicNode) => {
      for (const child of sorted(from.children)) {
        if (rows.length >= limit) return;
        if (wanted?.has(child) === false) continue;
        rows.push(child);
        if (child.children.size > 0 && (wanted !== undefined || isOpen(child))) visit(child);
      }
    };
    visit(this.root);
    return rows;
  }

  /** Nodes whose topic has the text, with all above them. */
  #fitting(text: string): Set<TopicNode> {
    const found = new Set<TopicNode>();
    const visit = (from: TopicNode) => {
      for (const child of from.children.values()) {
        visit(child);
        if (child.value === undefined || !child.topic.toLowerCase().includes(text)) continue;
        for (let at: TopicNode | undefined = child; at !== undefined; at = at.parent) found.add(at);
      }
    };
    visit(this.root);
    return found;
  }
}

function node(
  level: string,
  topic: string,
  depth: number,
  parent: TopicNode | undefined,
): TopicNode {
  return {
    level,
    topic,
    depth,
    parent,
    children: new Map(),
    value: undefined,
    messages: 0,
    t: 0,
  };
}

const order = new Intl.Collator('en', { numeric: true });

function sorted(children: ReadonlyMap<string, TopicNode>): TopicNode[] {
  return [...children.values()].sort((a, b) => order.compare(a.level, b.level));
}
