// Validity of Topic Names and Topic Filters (4.7, 4.8.2) and the matching rule, for judging deliveries.

export function isValidTopicName(topic: string): boolean {
  return topic.length > 0 && !/[+#\0]/.test(topic);
}

function isValidPlainFilter(filter: string): boolean {
  if (filter.length === 0) return false;
  const levels = filter.split('/');
  return levels.every((level, index) => {
    if (level.includes('#')) return level === '#' && index === levels.length - 1;
    return level.includes('+') ? level === '+' : true;
  });
}

/** Also knows `$share/{ShareName}/{filter}`, which only 5.0 has. */
export function isValidTopicFilter(filter: string, shared: boolean): boolean {
  if (!shared || (filter !== '$share' && !filter.startsWith('$share/')))
    return isValidPlainFilter(filter);
  const [, name, ...rest] = filter.split('/');
  if (name === undefined || name.length === 0 || /[+#]/.test(name)) return false;
  return isValidPlainFilter(rest.join('/'));
}

export function filterMatches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
  const names = topic.split('/');
  const levels = filter.split('/');
  for (const [index, level] of levels.entries()) {
    if (level === '#') return true;
    const name = names[index];
    if (name === undefined || (level !== '+' && level !== name)) return false;
  }
  return names.length === levels.length;
}
