/**
 * The HTTP application: fastify with the routes, and what holds for each of them: who may call it,
 * one shape for errors, the audit log, /openapi.json. It listens nowhere itself: see console.ts.
 */
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import swagger from '@fastify/swagger';
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type RouteHandlerMethod,
} from 'fastify';
import type { Access, Door } from './access.js';
import { Audit } from './audit.js';
import type { ConsoleDeps } from './deps.js';
import { addLive, offeredToken } from './live.js';
import { internalProblem, Problem, problemOf } from './problem.js';
import type { Call, Caller, Route } from './route.js';
import { errorAnswer } from './schema.js';
import { addPage } from './ui-routes.js';
import { schemaCompiler } from './validate.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    console?: Route;
  }
  interface FastifyRequest {
    caller: Caller | undefined;
  }
}

export interface ServerSetup {
  readonly deps: ConsoleDeps;
  readonly access: Access;
  readonly routes: readonly Route[];
  /** Aborted when the console stops: what lasts ends. */
  readonly stopping: AbortSignal;
  /** The console's address that a socket came in by. */
  readonly doorOf: (socket: object) => Door;
}

export interface ConsoleServer {
  readonly app: FastifyInstance;
  /** For the HTTP servers that listen. */
  readonly handler: Parameters<typeof createServer>[1] & object;
}

const kMaxBody = 1024 * 1024;
const kMaxUrl = 8192;
const kLines = 'application/x-ndjson';

export async function buildServer(setup: ServerSetup): Promise<ConsoleServer> {
  let handler: ConsoleServer['handler'] | undefined;
  const app = fastify({
    logger: false,
    bodyLimit: kMaxBody,
    routerOptions: { maxParamLength: kMaxUrl },
    forceCloseConnections: true,
    exposeHeadRoutes: true,
    serverFactory: (own): Server => {
      handler = own;
      // Never listens: fastify wants one.
      return createServer();
    },
    // A URL that does not decode; otherwise fastify would answer in a shape of its own.
    frameworkErrors: (error, request, reply) => void answerError(setup, error, request, reply),
  });
  app.setValidatorCompiler(schemaCompiler());
  // The schemas of answers are for the document; a test holds the answers to them.
  app.setSerializerCompiler(() => JSON.stringify);
  app.decorateRequest('caller', undefined);
  acceptJsonOnly(app);
  answerProblems(app, setup);
  const audit = new Audit(setup.deps);
  guard(app, setup, audit);
  await app.register(swagger, openapi(setup));
  await app.register(async (scope) => {
    for (const route of setup.routes) if (route.takesText !== true) addRoute(scope, setup, route);
  });
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
      done(null, body);
    });
    for (const route of setup.routes) if (route.takesText === true) addRoute(scope, setup, route);
  });
  await addLive(app, setup);
  await addPage(app);
  await app.ready();
  if (handler === undefined) throw new Error('fastify made no handler');
  return { app, handler };
}

/** Before the routes: what is set later would not hold for them. */
function answerProblems(app: FastifyInstance, setup: ServerSetup): void {
  const paths = setup.routes.map(({ method, url }) => ({ method, pattern: patternOf(url) }));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    const methods = paths.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
    if (methods.length === 0) throw new Problem('not_found', `there is no ${shorten(path)} here`);
    void reply.header('Allow', [...new Set(methods)].join(', '));
    throw new Problem('method_not_allowed', `${request.method} is not served here`);
  });
  app.setErrorHandler((error, request, reply) => answerError(setup, error, request, reply));
}

/** Runs for every request, those of no route too. */
function guard(app: FastifyInstance, setup: ServerSetup, audit: Audit): void {
  const { access, doorOf } = setup;
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('Cache-Control', 'no-store').header('X-Content-Type-Options', 'nosniff');
    const { headers, raw } = request;
    const address = request.socket.remoteAddress ?? '';
    request.caller = { name: 'nobody', role: undefined, address };
    if (request.url.length > kMaxUrl) {
      throw new Problem('uri_too_long', `a URL has at most ${kMaxUrl} characters`);
    }
    const presented = {
      door: doorOf(raw.socket),
      address,
      authorization: headers.authorization ?? offeredToken(headers['sec-websocket-protocol']),
      host: headers.host,
      origin: headers.origin,
    };
    access.refuseForeignPages(presented);
    const route = request.routeOptions.config.console;
    if (route?.role === 'open') return;
    request.caller = access.identify(presented);
    if (route !== undefined) {
      access.authorize(request.caller, route.role, route.isPublicRead === true);
    } else if (request.url.startsWith('/api/')) {
      access.authorize(request.caller, 'read', false);
    }
  });
  app.addHook('onResponse', async (request, reply) => {
    // Node has given up a connection that was to become a WebSocket: nobody else would close it.
    if (request.headers.upgrade !== undefined) request.raw.socket.destroySoon();
    const route = request.routeOptions.config.console;
    const { caller } = request;
    if (caller === undefined || route === undefined || route.method === 'GET') return;
    const { statusCode } = reply;
    const result = statusCode < 400 ? 'ok' : (outcomes.get(request) ?? String(statusCode));
    audit.write(caller, route.name, targetOf(setup, route, request, reply), result);
  });
}

/** The error's code of a refused request, for the audit log. */
const outcomes = new WeakMap<FastifyRequest, string>();

function targetOf(
  setup: ServerSetup,
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
): string {
  try {
    return route.target?.(callOf(setup, request, reply) as Call<never, never, never>) ?? '';
  } catch {
    // Its input was not valid: then it has no target.
    return '';
  }
}

function addRoute(app: FastifyInstance, setup: ServerSetup, route: Route): void {
  const handle: RouteHandlerMethod = (request, reply) =>
    route.handle(callOf(setup, request, reply) as Call<never, never, never>);
  app.route({
    method: route.method,
    url: route.url,
    config: { console: route },
    schema: {
      operationId: route.name,
      summary: route.summary,
      description: `Role: ${route.role}.`,
      tags: [route.tag],
      ...(route.role === 'open' ? { security: [] } : {}),
      ...(route.params === undefined ? {} : { params: route.params }),
      ...(route.query === undefined ? {} : { querystring: route.query }),
      ...(route.body === undefined ? {} : { body: route.body }),
      ...(route.takesText === true ? { consumes: ['text/plain'] } : {}),
      response: { ...route.answers, '4xx': errorAnswer, '5xx': errorAnswer },
    } as object,
    handler: async (request, reply) => handle.call(app, request, reply),
  });
}

function callOf(setup: ServerSetup, request: FastifyRequest, reply: FastifyReply): unknown {
  return {
    params: request.params,
    query: request.query,
    body: request.body,
    caller: request.caller,
    listen: setup.doorOf(request.raw.socket).text,
    // HEAD would read a whole stream to say nothing of it.
    wantsLines: request.method !== 'HEAD' && request.headers.accept?.includes(kLines) === true,
    reply,
  };
}

function acceptJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    // Clients send the header with a bare POST or DELETE too; a route that wants a body says so.
    if (body === '') done(null, undefined);
    else parse(request, body as string, done);
  });
}

async function answerError(
  setup: ServerSetup,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const { method, routeOptions } = request;
  // Not the URL: what is in its query may be nobody's business.
  const about = { method, route: routeOptions?.url ?? '' };
  const problem =
    problemOf(error) ?? internalProblem((record) => setup.deps.log(record), error, about);
  outcomes.set(request, problem.code);
  if (problem.code === 'unauthorized') void reply.header('WWW-Authenticate', 'Bearer');
  if (problem.code === 'too_many') void reply.header('Retry-After', '1');
  return reply.type('application/json').code(problem.status).send(problem.body());
}

function openapi({ deps }: ServerSetup) {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'st-mqttd console',
        description: 'See docs/CONSOLE.md.',
        version: deps.brokerInfo().version,
      },
      components: {
        securitySchemes: { token: { type: 'http', scheme: 'bearer' } as const },
      },
      security: [{ token: [] }],
    },
  };
}

/** Of a path without its query. */
function patternOf(url: string): RegExp {
  return new RegExp(`^${url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]+')}$`);
}

function shorten(path: string): string {
  return path.length > 200 ? `${path.slice(0, 200)}…` : path;
}
