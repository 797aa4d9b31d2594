/**
 * Compiles the routes' schemas, each when its route is first asked: at start this would cost half a
 * second. But those of listings at start, for they have a parameter for each field and would block
 * the loop for longer than a listing may. Query and path are text, so numbers in them are
 * converted; a body is JSON, and is taken as it is. Nothing unknown is dropped silently: it is
 * refused.
 */
import { Ajv, type ValidateFunction } from 'ajv';
import type { FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify';

const common = { useDefaults: true, allErrors: false, strict: true, allowUnionTypes: true };

interface Validate {
  (data: unknown): boolean;
  /** Where fastify looks for them. */
  errors: FastifySchemaValidationError[] | null;
}

export function schemaCompiler(): FastifySchemaCompiler<object> {
  const ofText = new Ajv({ ...common, coerceTypes: true });
  const ofJson = new Ajv({ ...common, coerceTypes: false });
  return ({ schema, httpPart }) => {
    const compile = () => (httpPart === 'body' ? ofJson : ofText).compile(schema);
    let compiled: ValidateFunction | undefined = isListing(schema) ? compile() : undefined;
    const validate: Validate = Object.assign<(data: unknown) => boolean, Pick<Validate, 'errors'>>(
      (data: unknown) => {
        compiled ??= compile();
        const fits = compiled(data);
        validate.errors = (compiled.errors ?? null) as FastifySchemaValidationError[] | null;
        return fits;
      },
      { errors: null },
    );
    return validate;
  };
}

/** Listings are what takes a cursor. */
function isListing(schema: object): boolean {
  const { properties } = schema as { readonly properties?: object };
  return properties !== undefined && 'cursor' in properties;
}
