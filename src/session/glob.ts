/** Text with `*` for any characters: what listings are filtered by. */

/** Without a regular expression: its time is bounded by the lengths' product. */
export function globOf(pattern: string): (found: string) => boolean {
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop() ?? '';
  const parts = rest.filter((part) => part !== '');
  return (found) => {
    if (found.length < head.length + tail.length) return false;
    if (!found.startsWith(head) || !found.endsWith(tail)) return false;
    const stop = found.length - tail.length;
    let at = head.length;
    for (const part of parts) {
      const next = found.indexOf(part, at);
      if (next < 0 || next + part.length > stop) return false;
      at = next + part.length;
    }
    return true;
  };
}
