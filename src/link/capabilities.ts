/**
 * What the broker's CONNACK says it does not take, refused before it is sent: the broker would end
 * the whole link for it.
 */
import { fail } from '../errors.js';
import { varintBytes } from './encode.js';
import type { Properties } from './packets.js';
import { checkFilter } from './topics.js';

/** `flags` and `remaining` of the PUBLISH's fixed header. */
export function checkPublish(
  offered: Properties,
  topic: string,
  flags: number,
  remaining: number,
): void {
  const doing = `publishing to "${topic}"`;
  if (flags >> 1 > (offered.maximumQos ?? 2)) {
    const why = `the broker takes at most QoS ${offered.maximumQos} (mqtt.max_qos)`;
    throw fail('ST_LINK_CAPABILITY', { doing, why });
  }
  if ((flags & 1) !== 0 && offered.retainAvailable === 0) {
    const why = 'the broker takes no retained messages (mqtt.retain_available)';
    throw fail('ST_LINK_CAPABILITY', { doing, why });
  }
  const limit = offered.maximumPacketSize;
  const bytes = 1 + varintBytes(remaining) + remaining;
  if (limit !== undefined && bytes > limit) {
    throw fail('ST_LINK_TOO_LARGE', { topic, bytes, limit });
  }
}

export function checkSubscribe(offered: Properties, filter: string): void {
  checkFilter(filter);
  const doing = `subscribing to "${filter}"`;
  if (offered.sharedSubscriptionAvailable === 0 && filter.startsWith('$share/')) {
    const why = 'the broker has no shared subscriptions (mqtt.shared_subscriptions)';
    throw fail('ST_LINK_CAPABILITY', { doing, why });
  }
  if (offered.wildcardSubscriptionAvailable === 0 && /[+#]/.test(filter)) {
    const why = 'the broker takes no wildcards (mqtt.wildcard_subscriptions)';
    throw fail('ST_LINK_CAPABILITY', { doing, why });
  }
}
