/** Whether there is a Topic Name that both Topic Filters match (4.7), given by their levels. */
export function overlap(a: readonly string[], b: readonly string[]): boolean {
  const isWild = (level: string | undefined) => level === '#' || level === '+';
  // [MQTT-4.7.2-1]
  if (a[0]?.startsWith('$') && isWild(b[0])) return false;
  if (b[0]?.startsWith('$') && isWild(a[0])) return false;
  for (let at = 0; ; at++) {
    // "a/#" matches "a" too.
    if (at === a.length) return at === b.length || (at === b.length - 1 && b[at] === '#');
    if (at === b.length) return at === a.length - 1 && a[at] === '#';
    if (a[at] === '#' || b[at] === '#') return true;
    if (a[at] !== '+' && b[at] !== '+' && a[at] !== b[at]) return false;
  }
}

/** `$share/<ShareName>/` or nothing, and the rest. */
export function splitShared(filter: string): readonly [string, string] {
  const share = /^\$share\/[^/]*\//.exec(filter)?.[0] ?? '';
  return [share, filter.slice(share.length)];
}

/** Without `$share/<ShareName>/`. */
export function plainLevels(filter: string): readonly string[] {
  return splitShared(filter)[1].split('/');
}
