/** Topic Names and Filters in requests (4.7), refused with the field that has them. */
import { messageOf } from '../../errors.js';
import { checkFilter } from '../../link/topics.js';
import { Problem } from '../problem.js';

const kMaxBytes = 65_535;

export function checkTopicName(name: string, field = 'topic'): void {
  const fits =
    name !== '' &&
    !/[+#\0]/.test(name) &&
    isWellFormed(name) &&
    Buffer.byteLength(name) <= kMaxBytes;
  if (fits) return;
  const allowed = 'a Topic Name has 1 to 65535 bytes of UTF-8 and no +, # or NUL';
  throw new Problem('bad_request', `${field}: ${allowed}`, field);
}

export function checkTopicFilter(filter: string, field = 'topic'): void {
  if (!isWellFormed(filter)) {
    throw new Problem('bad_request', `${field}: not well-formed Unicode`, field);
  }
  try {
    checkFilter(filter);
  } catch (error) {
    throw new Problem('bad_request', `${field}: ${messageOf(error)}`, field);
  }
}

/** Half of a surrogate pair has no UTF-8. */
function isWellFormed(name: string): boolean {
  return !/\p{Surrogate}/u.test(name);
}

/** `topics` of rmqttd: text with commas, or a list; `topic` alone: as it is. */
export function topicsOf({
  topic,
  topics,
}: {
  readonly topic?: string;
  readonly topics?: string | readonly string[];
}): readonly string[] {
  const several = typeof topics === 'string' ? topics.split(',') : (topics ?? []);
  const all = [...new Set([...(topic === undefined ? [] : [topic]), ...several])];
  if (all.length === 0) throw new Problem('bad_request', 'body: topic is missing', 'topic');
  return all;
}
