/** Plugins: list, load, unload, reload. */
import type { PluginInfo } from '../../plugins/types.js';
import { Problem } from '../problem.js';
import { type Route, route } from '../route.js';
import { byName, flag, input, list, number, orNull, record, text } from '../schema.js';
import type { Context } from './context.js';

const pluginSchema = record({
  name: text('As the configuration calls it.'),
  state: text('"failed": it was to start, and did not.', {
    enum: ['loaded', 'not loaded', 'failed'],
  }),
  from: text('"shipped", or its file or package.'),
  version: orNull(text('Its own; null = it says none, or has not been loaded yet.')),
  description: orNull(text('What it does.')),
  default_startup: flag('Started with the broker.'),
  immutable: flag('Cannot be unloaded.'),
  counts: orNull(byName(number(''), 'Its own numbers, while it is loaded; null = it tells none.')),
  error: orNull(text('Why it failed.')),
});

type Named = { readonly params: { readonly name: string } };
const named = input({ name: text('A plugin.', { minLength: 1, maxLength: 214 }) }, ['name']);

const changes = {
  load: 'Loads and starts a plugin',
  unload: 'Ends a plugin: its hooks, links and timers are gone',
  reload: 'Starts a plugin again, with its configuration read anew',
} as const;

export function pluginRoutes({ deps }: Context): readonly Route[] {
  return [
    route({
      method: 'GET',
      url: '/api/v1/plugins',
      name: 'plugins.list',
      summary: 'Plugins, loaded or not',
      tag: 'plugins',
      role: 'read',
      answers: { 200: record({ items: list(pluginSchema, 'Plugins.') }) },
      handle: async () => ({ items: (await deps.plugins()).list().map(show) }),
    }),
    route<Named>({
      method: 'GET',
      url: '/api/v1/plugins/:name',
      name: 'plugins.get',
      summary: 'One plugin',
      tag: 'plugins',
      role: 'read',
      params: named,
      answers: { 200: pluginSchema },
      handle: async ({ params: { name } }) => {
        const found = (await deps.plugins()).list().find((plugin) => plugin.name === name);
        if (found !== undefined) return show(found);
        throw new Problem('not_found', `name: there is no ${name}`, 'name');
      },
    }),
    ...Object.entries(changes).map(([what, summary]) =>
      route<Named>({
        method: 'POST',
        url: `/api/v1/plugins/:name/${what}`,
        name: `plugins.${what}`,
        summary,
        tag: 'plugins',
        role: 'admin',
        params: named,
        answers: { 200: pluginSchema },
        target: ({ params: { name } }) => name,
        handle: async ({ params: { name } }) => {
          const plugins = await deps.plugins();
          return show(await plugins[what as keyof typeof changes](name));
        },
      }),
    ),
  ];
}

function show(plugin: PluginInfo): unknown {
  const { name, state, from, version, description, defaultStartup, immutable, counts, error } =
    plugin;
  return {
    ...{ name, state, from, version: version ?? null, description: description ?? null },
    ...{ default_startup: defaultStartup, immutable, counts: counts ?? null, error: error ?? null },
  };
}
