/** What a request can be refused with: one shape, from whatever was thrown. */
import { randomBytes } from 'node:crypto';
import { type ErrorCode, StMqttdError } from '../errors.js';
import type { LogRecord } from '../log/logger.js';

const statuses = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  uri_too_long: 414,
  unsupported_media_type: 415,
  refused: 422,
  too_many: 429,
  internal: 500,
  stopping: 503,
} as const;

export type ProblemCode = keyof typeof statuses;

export class Problem extends Error {
  readonly code: ProblemCode;
  readonly field: string | undefined;
  /** Of an internal error: it stands in the log too. */
  readonly id: string | undefined;

  constructor(code: ProblemCode, message: string, field?: string, id?: string) {
    super(message);
    this.code = code;
    this.field = field;
    this.id = id;
  }

  get status(): number {
    return statuses[this.code];
  }

  /** The answer's body. */
  body(): { error: { code: string; message: string; field?: string; id?: string } } {
    return {
      error: {
        code: this.code,
        message: this.message,
        ...(this.field === undefined ? {} : { field: this.field }),
        ...(this.id === undefined ? {} : { id: this.id }),
      },
    };
  }
}

const ofBroker: Partial<Record<ErrorCode, ProblemCode>> = {
  ST_ARGUMENT: 'bad_request',
  ST_CONFIG_SYNTAX: 'bad_request',
  ST_CONFIG_VALUE: 'bad_request',
  ST_CONFIG_MISSING: 'bad_request',
  ST_CONFIG_CONFLICT: 'bad_request',
  ST_DEVICE_TOPICS: 'conflict',
  ST_CONFIG_UNSUPPORTED: 'bad_request',
  ST_CONFIG_NO_LISTENER: 'bad_request',
  ST_CONFIG_REFERENCE: 'bad_request',
  ST_CONFIG_READ: 'refused',
  ST_TLS_READ: 'refused',
  ST_TLS_ITEM: 'refused',
  ST_TLS_UNAVAILABLE: 'refused',
  ST_PLUGIN_UNKNOWN: 'not_found',
  ST_PLUGIN_LOAD: 'refused',
  ST_PLUGIN_CONFIG: 'refused',
  ST_PLUGIN_START: 'refused',
  ST_PLUGIN_STATE: 'conflict',
  ST_AUTH_CONFIG: 'refused',
  ST_AUTH_FILE: 'refused',
  ST_LISTEN: 'refused',
  ST_RESOLVE: 'refused',
  ST_LOG_FILTER: 'bad_request',
  ST_LINK_CAPABILITY: 'refused',
  ST_LINK_REFUSED: 'refused',
  ST_LINK_PUBLISH_REFUSED: 'refused',
  ST_LINK_SUBSCRIBE_REFUSED: 'refused',
  ST_LINK_UNSUBSCRIBE_REFUSED: 'refused',
  ST_LINK_TOO_LARGE: 'too_large',
  ST_LINK_CLOSED: 'stopping',
  ST_BROKER_STATE: 'stopping',
};

/** Fastify's own errors that a request can cause; anything else of it is a defect of ours. */
const ofFastify: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'bad_request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'bad_request',
  FST_ERR_BAD_URL: 'bad_request',
  FST_ERR_ASYNC_CONSTRAINT: 'bad_request',
  FST_ERR_MAX_PARAM_LENGTH: 'uri_too_long',
  FST_ERR_REOPENED_CLOSE_SERVER: 'stopping',
};

interface Violation {
  readonly instancePath?: string;
  readonly keyword?: string;
  readonly message?: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

/** Logs a defect of ours; who asked is told no more than where to find it. */
export function internalProblem(
  log: (record: LogRecord) => void,
  error: unknown,
  about: Readonly<Record<string, string>>,
): Problem {
  const id = randomBytes(6).toString('hex');
  const fields = { errorId: id, ...about, err: error };
  log({ level: 'error', module: 'console', text: 'console: internal error', fields });
  return new Problem('internal', 'an internal error; the log has it under this id', undefined, id);
}

/** undefined = not the request's fault. */
export function problemOf(thrown: unknown): Problem | undefined {
  if (thrown instanceof Problem) return thrown;
  if (thrown instanceof StMqttdError) {
    const code = ofBroker[thrown.code];
    // ST_ARGUMENT: "listing clients: cursor is …".
    const [, field] = /^[^:]*: (\w+) is /.exec(thrown.message) ?? [];
    return code === undefined ? undefined : new Problem(code, thrown.message, field);
  }
  if (!(thrown instanceof Error)) return undefined;
  const { code, validation, validationContext } = thrown as {
    code?: string;
    validation?: readonly Violation[];
    validationContext?: string;
  };
  if (validation !== undefined) return violated(validation, validationContext ?? 'body');
  const known = code === undefined ? undefined : ofFastify[code];
  if (known !== undefined) return new Problem(known, thrown.message);
  // The aborted and the malformed: thrown by Node while the body is read.
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') {
    return new Problem('bad_request', 'the request ended before its body did');
  }
  return undefined;
}

function violated(violations: readonly Violation[], part: string): Problem {
  const [first] = violations;
  const { params = {}, keyword, instancePath = '' } = first ?? {};
  const named =
    keyword === 'required'
      ? params.missingProperty
      : keyword === 'additionalProperties'
        ? params.additionalProperty
        : undefined;
  const path = instancePath.split('/').slice(1);
  if (typeof named === 'string') path.push(named);
  const field = path.join('.');
  const where = part === 'querystring' ? 'query' : part;
  const place = field === '' ? where : `${where}: ${field}`;
  const allowed = Array.isArray(params.allowedValues)
    ? `: ${params.allowedValues.map((value) => JSON.stringify(value)).join(', ')}`
    : '';
  const what =
    keyword === 'additionalProperties'
      ? 'is not known here'
      : keyword === 'required'
        ? 'is missing'
        : `${first?.message ?? 'is not allowed'}${allowed}`;
  return new Problem('bad_request', `${place} ${what}`, field === '' ? where : field);
}
