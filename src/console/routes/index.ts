/** Every route of the console. */
import type { Route } from '../route.js';
import { banRoutes } from './bans.js';
import { clientRoutes } from './clients.js';
import { configRoutes } from './config.js';
import type { Context } from './context.js';
import { denialRoutes } from './denials.js';
import { deviceRoutes } from './devices.js';
import { filterRoutes } from './filters.js';
import { messageRoutes } from './messages.js';
import { indexRoute, nodeRoutes } from './nodes.js';
import { numberRoutes } from './numbers.js';
import { pluginRoutes } from './plugins.js';
import { probeRoutes } from './probes.js';
import { retainedRoutes } from './retained.js';
import { rumqttdRoutes } from './rumqttd.js';
import { subscriptionRoutes } from './subscriptions.js';
import { traceRoutes } from './traces.js';
import { writeRoutes } from './writes.js';

export function allRoutes(context: Context): readonly Route[] {
  const routes: readonly Route[] = [
    ...probeRoutes(context),
    ...rumqttdRoutes(context),
    indexRoute(() => routes),
    ...nodeRoutes(context),
    ...clientRoutes(context),
    ...denialRoutes(context),
    ...deviceRoutes(context),
    ...subscriptionRoutes(context),
    ...retainedRoutes(context),
    ...filterRoutes(context),
    ...messageRoutes(context),
    ...writeRoutes(context),
    ...numberRoutes(context),
    ...configRoutes(context),
    ...traceRoutes(context),
    ...banRoutes(context),
    ...pluginRoutes(context),
  ];
  return routes;
}
