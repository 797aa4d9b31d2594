/** The parts of the broker that log, which are the targets of the log filter. */
import type { NativeModuleName } from '../native/contract.js';

/** `session` has what concerns one client: connect, disconnect, refusal, what a peer did wrong. */
export const logModules = [
  'audit',
  'auth',
  'broker',
  'config',
  'console',
  'link',
  'listener',
  'log',
  'metrics',
  'plugin',
  'reload',
  'route',
  'session',
  'store',
  'trace',
] as const;

export type LogModule = (typeof logModules)[number];

/** Those that have records of the native half: these cross only if a filter wants them. */
export const nativeModules: readonly (LogModule & NativeModuleName)[] = [
  'auth',
  'link',
  'listener',
  'route',
  'session',
  'store',
];

/** rumqttd's targets, as its users' filters have them: a module here, or all of them. */
export const rumqttdTargets: Readonly<Record<string, LogModule | 'all'>> = {
  rumqttd: 'all',
  'rumqttd::server': 'listener',
  'rumqttd::server::console': 'console',
  'rumqttd::server::broker': 'listener',
  'rumqttd::link': 'session',
  'rumqttd::link::local': 'link',
  'rumqttd::link::remote': 'session',
  'rumqttd::link::console': 'console',
  'rumqttd::link::timer': 'metrics',
  'rumqttd::router': 'session',
  'rumqttd::router::routing': 'route',
};
