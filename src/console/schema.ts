/**
 * JSON Schema, as the routes state it: for validation, for answers and for /openapi.json. Written
 * with small functions, because a row of a table is easier to check than nested objects.
 */

export interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly prefixItems?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly default?: unknown;
}

type More = Omit<Schema, 'type' | 'description'>;

export const text = (description: string, more: More = {}): Schema => ({
  type: 'string',
  description,
  ...more,
});
export const integer = (description: string, more: More = {}): Schema => ({
  type: 'integer',
  description,
  ...more,
});
export const number = (description: string, more: More = {}): Schema => ({
  type: 'number',
  description,
  ...more,
});
export const flag = (description: string, more: More = {}): Schema => ({
  type: 'boolean',
  description,
  ...more,
});
export const list = (items: Schema, description: string, more: More = {}): Schema => ({
  type: 'array',
  description,
  items,
  ...more,
});

/** May be null as well. */
export const orNull = (schema: Schema): Schema =>
  typeof schema.type === 'string' && schema.enum === undefined
    ? { ...schema, type: [schema.type, 'null'] }
    : { anyOf: [schema, { type: 'null' }] };

/** An answer's object: every property is always there. */
export const record = (properties: Readonly<Record<string, Schema>>, description = ''): Schema => ({
  type: 'object',
  ...(description === '' ? {} : { description }),
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

/** An input's object: what is not named is refused. */
export const input = (
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): Schema => ({ type: 'object', properties, required, additionalProperties: false });

/** Values by name, where the names are data. */
export const byName = (of: Schema, description: string): Schema => ({
  type: 'object',
  description,
  additionalProperties: of,
});

/** Any JSON value: of configuration keys. */
export const anyValue = (description: string): Schema => ({ description });

export const kMaxText = 65_535;
export const kMaxPage = 1000;

/** Of an input: which connection of the Client Identifier. */
export const instance = (otherwise: string): Schema =>
  integer(`Which connection of the Client Identifier, 0 = the first; not given: ${otherwise}.`, {
    minimum: 0,
    maximum: 0xfffffffe,
  });

export const clientId = text('A Client Identifier.', { maxLength: kMaxText });

export const errorAnswer: Schema = {
  type: 'object',
  properties: {
    error: {
      type: 'object',
      properties: {
        code: text('What is wrong, as a word that does not change.'),
        message: text('What is wrong, for people.'),
        field: text('The parameter or the place in the body that it is about.'),
        id: text('Of an internal error: it stands in the log too.'),
      },
      required: ['code', 'message'],
      additionalProperties: false,
    },
  },
  required: ['error'],
  additionalProperties: false,
};

/** Parameters of every listing. */
export const pageQuery = {
  cursor: text('`next` of the page before; none = from the beginning.', { maxLength: 4096 }),
  limit: integer('Items of a page at most.', { minimum: 1, maximum: kMaxPage, default: 100 }),
} as const;

const pageOf = (items: Schema, what: string): Schema =>
  record({
    items: list(items, what),
    next: orNull(
      text('Cursor of the next page; null = this was the last. A page may be empty before it.'),
    ),
    scanned: integer('Rows that were looked at for this page.'),
  });

/** An answer in one of several media types. */
export interface Media {
  readonly description: string;
  readonly content: Readonly<Record<string, { readonly schema: Schema }>>;
}

/** A page, or with `Accept: application/x-ndjson` everything, a row per line. */
export const listing = (row: Schema, what: string): Media => ({
  description: what,
  content: {
    'application/json': { schema: pageOf(row, what) },
    'application/x-ndjson': {
      schema: {
        ...text('A JSON object per line; the last line is {"next": …} or {"error": …}.'),
      },
    },
  },
});
