/** A plugin's configuration against its schema, with the place of what is wrong. */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { placeWithin } from '../config/places.js';
import type { PluginConfig } from '../config/plugin-options.js';
import { fail, messageOf, StMqttdError } from '../errors.js';
import type { Plugin } from './types.js';

/** A copy, with the schema's defaults. Throws ST_PLUGIN_CONFIG, ST_PLUGIN_LOAD. */
export function checkedConfig(plugin: Plugin<never>, entry: PluginConfig): unknown {
  const { name } = entry;
  const config = structuredClone(entry.config);
  const refuse = (why: string, steps: readonly string[], cause?: unknown) => {
    const where = placeWithin(entry, ['config', ...steps]);
    return fail('ST_PLUGIN_CONFIG', { where, name, why }, cause === undefined ? {} : { cause });
  };
  if (plugin.schema !== undefined) {
    const validate = compiled(plugin.schema, entry);
    if (!validate(config)) {
      const [error] = validate.errors ?? [];
      throw refuse(whatIsWrong(error), stepsOf(error));
    }
  }
  try {
    plugin.check?.(config as never);
  } catch (cause) {
    if (cause instanceof StMqttdError) throw cause;
    throw refuse(messageOf(cause), pathOf(cause), cause);
  }
  return config;
}

/** Of what check() throws: the key that is wrong. */
function pathOf(cause: unknown): readonly string[] {
  const path: unknown = (cause as { readonly path?: unknown } | null)?.path;
  return Array.isArray(path) ? path.map(String) : [];
}

function compiled(schema: object, { name, module, isTextual }: PluginConfig): ValidateFunction {
  try {
    return new Ajv({ strict: false, useDefaults: true, coerceTypes: isTextual }).compile(schema);
  } catch (cause) {
    const why = `its schema is none: ${messageOf(cause)}`;
    throw fail('ST_PLUGIN_LOAD', { name, module: module || name, why }, { cause });
  }
}

function stepsOf(error: ErrorObject | undefined): readonly string[] {
  const steps = (error?.instancePath ?? '')
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const unknown: unknown = error?.params.additionalProperty;
  return typeof unknown === 'string' ? [...steps, unknown] : steps;
}

/** Names keys and what is allowed, never a value: it may be a secret. */
function whatIsWrong(error: ErrorObject | undefined): string {
  const allowed: unknown = error?.params.allowedValues;
  const values = Array.isArray(allowed) ? `: ${allowed.map(String).join(', ')}` : '';
  const steps = stepsOf(error);
  const unknown = error?.keyword === 'additionalProperties';
  const what = unknown ? 'is not known' : `${error?.message ?? 'is wrong'}${values}`;
  return `${['config', ...steps].join('.')} ${what}`;
}
