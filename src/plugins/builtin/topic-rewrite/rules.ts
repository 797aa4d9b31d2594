/** Rules of topic-rewrite, as rmqtt-topic-rewrite has them. Pure. */

export interface RewriteRule {
  readonly action?: 'publish' | 'subscribe' | 'all';
  readonly source_topic_filter: string;
  readonly dest_topic: string;
  readonly regex?: string;
}

export interface Publisher {
  readonly clientId: string;
  readonly username: string | undefined;
}

export interface Rule {
  readonly filter: string;
  readonly levels: readonly string[];
  fits(topic: string): boolean;
  /** Throws where the publisher's names cannot stand in a topic. */
  rewrite(topic: string, publisher: Publisher): string;
}

/** Throws where something is wrong. */
export function compileRule({ source_topic_filter: filter, dest_topic, regex }: RewriteRule): Rule {
  const pattern = regex === undefined ? byLevels(filter) : asPattern(regex);
  const groups = new RegExp(`${pattern.source}|`, pattern.flags).exec('')?.length ?? 1;
  const parts = dest_topic
    .replaceAll(`$\{clientid}`, '%c')
    .replaceAll(`$\{username}`, '%u')
    .split(/(\$\d|%c|%u)/);
  for (const part of parts) {
    if (/^\$\d$/.test(part) && (part === '$0' || Number(part[1]) >= groups)) {
      throw new Error(`dest_topic "${dest_topic}": nothing is captured as ${part}`);
    }
    if (/[+#]/.test(part)) throw new Error(`dest_topic "${dest_topic}" is no Topic Name`);
  }
  return {
    filter,
    levels: filter.split('/'),
    fits: (topic) => pattern.test(topic),
    rewrite: (topic, publisher) => {
      const found = pattern.exec(topic);
      return parts.map((part) => partOf(part, found, publisher)).join('');
    },
  };
}

function asPattern(regex: string): RegExp {
  try {
    return new RegExp(regex, 'u');
  } catch (cause) {
    throw new Error(`regex "${regex}" is none`, { cause });
  }
}

/** Each wildcard captures what it stands for. */
function byLevels(filter: string): RegExp {
  const levels = filter.split('/').map((level) => {
    if (level === '+') return '([^/]*)';
    return level === '#' ? '(.*)' : level.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  });
  const last = levels.at(-1);
  // "a/#" is "a" as well.
  if (last === '(.*)' && levels.length > 1) {
    return new RegExp(`^${levels.slice(0, -1).join('/')}(?:/(.*))?$`, 's');
  }
  return new RegExp(`^${levels.join('/')}$`, 's');
}

function partOf(part: string, found: RegExpExecArray | null, publisher: Publisher): string {
  if (/^\$\d$/.test(part)) return found?.[Number(part[1])] ?? '';
  if (part === '%c') return oneLevel('Client Identifier', publisher.clientId);
  if (part === '%u') return oneLevel('username', publisher.username ?? '');
  return part;
}

/** What a client calls itself must not lead anywhere else. */
function oneLevel(what: string, name: string): string {
  if (name === '' || /[/+#]/.test(name)) {
    throw new Error(`the publisher's ${what} cannot stand in a topic`);
  }
  return name;
}
