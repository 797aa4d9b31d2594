/**
 * Compiles the routes' schemas. Query and path are text, so numbers in them are converted; a body
 * is JSON, and is taken as it is. Nothing unknown is dropped silently: it is refused.
 */
import { Ajv } from 'ajv';
import type { FastifySchemaCompiler } from 'fastify';

const common = { useDefaults: true, allErrors: false, strict: true, allowUnionTypes: true };

export function schemaCompiler(): FastifySchemaCompiler<object> {
  const ofText = new Ajv({ ...common, coerceTypes: true });
  const ofJson = new Ajv({ ...common, coerceTypes: false });
  return ({ schema, httpPart }) => (httpPart === 'body' ? ofJson : ofText).compile(schema);
}
