/** What the routes work with. */
import type { ConsoleDeps } from '../deps.js';
import type { History } from '../history.js';
import type { Scanner } from '../scan.js';

export interface Context {
  readonly deps: ConsoleDeps;
  readonly history: History;
  readonly scanner: Scanner;
  /** The document, made from the routes. */
  readonly openapi: () => unknown;
}
