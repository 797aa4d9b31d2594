/** Messages that are published later: `$delayed/<seconds>/<topic>`. The I/O threads do it. See README.md. */
import type { NativeDelayOptions } from '../../../native/addon.js';
import { definePlugin } from '../../define.js';
import { kDelay, kInForce, ownContext } from '../../own.js';

interface Config {
  readonly max_messages: number;
  readonly max_bytes: number;
  readonly max_delay_s: number;
  readonly on_full: 'refuse' | 'publish';
  readonly on_unload: 'publish' | 'drop';
}

const whole = (byDefault: number, maximum: number) => ({
  ...{ type: 'integer', minimum: 1, maximum, default: byDefault },
});

export const plugin = definePlugin<Config>({
  description: 'publishes messages for $delayed/<seconds>/<topic> later',
  schema: {
    type: 'object',
    additionalProperties: false,
    properties: {
      max_messages: whole(100_000, 100_000_000),
      max_bytes: whole(67_108_864, 2 ** 40),
      max_delay_s: whole(4_294_967, 4_294_967),
      on_full: { enum: ['refuse', 'publish'], default: 'refuse' },
      on_unload: { enum: ['publish', 'drop'], default: 'publish' },
    },
  },
  start: (context) => {
    const { broker, config, log } = context;
    const { [kDelay]: delay, [kInForce]: inForce } = ownContext(context);
    const options: NativeDelayOptions = {
      on: true,
      max_delay_s: config.max_delay_s,
      max_messages: config.max_messages,
      max_bytes: config.max_bytes,
      when_full: config.on_full,
      at_end: config.on_unload,
    };
    context.counts(() => {
      const counters = broker.metrics();
      return {
        waiting: counters.delayed_messages,
        waiting_bytes: counters.delayed_bytes,
        taken: counters.delayed_taken,
        published: counters.delayed_published,
        not_held: counters.delayed_not_held,
        invalid: counters.delayed_invalid,
        refused_full: counters.delayed_dropped_full,
        expired: counters.delayed_expired,
        dropped_at_end: counters.delayed_dropped_end,
      };
    });
    context.onStop(async (why) => {
      // What waits goes on waiting, and what comes meanwhile is delayed as before.
      if (why === 'reload') return;
      const waiting = broker.metrics().delayed_messages;
      const at_end = why === 'stop' ? 'drop' : config.on_unload;
      if (waiting > 0 && why === 'stop') {
        log.warn('the broker stops: delayed messages are lost', { waiting });
      } else if (waiting > 0) {
        const what = at_end === 'drop' ? 'dropped' : 'published now';
        log.warn(`delayed messages are ${what}`, { waiting });
      }
      delay({ ...options, on: false, at_end });
      await inForce();
    });
    delay(options);
  },
});
