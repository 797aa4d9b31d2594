/** The plugins of this package. Each is loaded when it is started. */
import type { Plugin } from './types.js';

export const shipped: Readonly<Record<string, () => Promise<Plugin<never>>>> = {
  'auto-subscription': async () => (await import('./builtin/auto-subscription/plugin.js')).plugin,
  'delayed-publish': async () => (await import('./builtin/delayed-publish/plugin.js')).plugin,
  'topic-rewrite': async () => (await import('./builtin/topic-rewrite/plugin.js')).plugin,
  'web-hook': async () => (await import('./builtin/web-hook/plugin.js')).plugin,
};
