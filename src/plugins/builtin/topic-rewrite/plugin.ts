/** Messages go to another topic than they were published to. See README.md. */
import { messageOf } from '../../../errors.js';
import { matches } from '../../../link/filters.js';
import { checkFilter } from '../../../link/topics.js';
import { definePlugin, WrongConfig } from '../../define.js';
import { compileRule, type RewriteRule, type Rule } from './rules.js';

interface Config {
  readonly rules: readonly RewriteRule[];
}

export const plugin = definePlugin<Config>({
  description: 'gives messages another topic by rules',
  schema: {
    type: 'object',
    required: ['rules'],
    additionalProperties: false,
    properties: {
      rules: {
        type: 'array',
        items: {
          type: 'object',
          required: ['source_topic_filter', 'dest_topic'],
          additionalProperties: false,
          properties: {
            action: { enum: ['publish', 'subscribe', 'all'], default: 'all' },
            source_topic_filter: { type: 'string', minLength: 1 },
            dest_topic: { type: 'string', minLength: 1 },
            regex: { type: 'string', minLength: 1 },
          },
        },
      },
    },
  },
  check: ({ rules }) => {
    for (const [index, rule] of rules.entries()) {
      const at = ['rules', String(index)];
      try {
        checkFilter(rule.source_topic_filter, 'reading a rule of topic-rewrite');
        compileRule(rule);
      } catch (cause) {
        throw new WrongConfig(at, messageOf(cause), { cause });
      }
    }
  },
  start: (context) => {
    const rulesOf = (action: string) =>
      context.config.rules
        .filter((rule) => rule.action === 'all' || rule.action === action)
        .map(compileRule);
    const subscribing = rulesOf('subscribe');
    if (subscribing.length > 0) {
      // All filters are asked about: one by '+' fits rules that no filter of a hook would say.
      context.onSubscribe(
        function rewrite(subscription) {
          const [share, plain] = split(subscription.filter);
          const rule = firstThatFits(subscribing, plain);
          if (rule === undefined) return 'pass';
          return { filter: share + rule.rewrite(plain, subscription) };
        },
        { onError: 'drop', onTimeout: 'drop', order: -1000 },
      );
    }
    const rules = rulesOf('publish');
    /** Of messages that have their topic by now, by their payload: it is one object on its way. */
    const done = new WeakSet<Buffer>();
    for (const filter of new Set(rules.map((rule) => rule.filter))) {
      context.onPublish(
        filter,
        function rewrite(message) {
          if (done.has(message.payload)) return 'pass';
          const rule = firstThatFits(rules, message.topic);
          const topic = rule?.rewrite(message.topic, message);
          if (topic === undefined || topic === message.topic) return 'pass';
          done.add(message.payload);
          return { topic };
        },
        // Where it cannot have the topic that it is to have, it must not have the old one either.
        { onError: 'drop', onTimeout: 'drop', order: -1000 },
      );
    }
  },
});

/** "$share/<ShareName>/", and the filter behind it. */
function split(filter: string): readonly [string, string] {
  const share = /^\$share\/[^/]*\//.exec(filter)?.[0] ?? '';
  return [share, filter.slice(share.length)];
}

function firstThatFits(rules: readonly Rule[], topic: string): Rule | undefined {
  return rules.find((rule) => matches(rule.levels, topic) && rule.fits(topic));
}
