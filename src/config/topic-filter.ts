/** Topic Filters of rules. */

/** As many as the native half takes. */
const kMaxLevels = 128;

/** [MQTT-4.7.1-1] to [MQTT-4.7.3-3]: not empty, no U+0000, + and # as whole levels, # last. */
export function isTopicFilter(text: string): boolean {
  if (text === '' || text.includes('\0') || Buffer.byteLength(text) > 65_535) return false;
  const levels = text.split('/');
  if (levels.length > kMaxLevels) return false;
  return levels.every((level, index) =>
    level.includes('#')
      ? level === '#' && index === levels.length - 1
      : level === '+' || !level.includes('+'),
  );
}
