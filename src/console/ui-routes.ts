/** The live page at /ui/: files that were built into dist/ui, and nothing else of the file system. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import files from '@fastify/static';
import type { FastifyInstance } from 'fastify';

const kPrefix = '/ui/';
/** Nothing from elsewhere, no inline script or style, no frame around it. */
const kPolicy =
  "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'none'; frame-ancestors 'none'";
const kForEver = 'public, max-age=31536000, immutable';
const kNotBuilt =
  'The live page was not built into this copy of st-mqttd. In a checkout: npm run build:ui\n';

/** dist/ui, of the compiled sources and of a checkout's alike. */
const builtPage = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist', 'ui');

/** Anybody gets the page: it holds nothing, and asks the API with the token that it is given. */
export async function addPage(app: FastifyInstance, root = builtPage): Promise<void> {
  await app.register(async (scope) => {
    scope.addHook('onSend', async (request, reply) => {
      const isHashed = reply.statusCode === 200 && request.url.startsWith(`${kPrefix}assets/`);
      void reply
        .header('Content-Security-Policy', kPolicy)
        .header('Referrer-Policy', 'no-referrer')
        .header('Cross-Origin-Opener-Policy', 'same-origin')
        .header('Cross-Origin-Resource-Policy', 'same-origin')
        .header('Cache-Control', isHashed ? kForEver : 'no-cache');
    });
    const hidden = { schema: { hide: true } as object };
    // Relative: a proxy may have put a prefix before it.
    scope.get('/ui', hidden, async (_request, reply) => reply.redirect('ui/'));
    if (!existsSync(join(root, 'index.html'))) {
      scope.get(kPrefix, hidden, async (_request, reply) =>
        reply.code(404).type('text/plain; charset=utf-8').send(kNotBuilt),
      );
      return;
    }
    await scope.register(files, {
      root,
      prefix: kPrefix,
      cacheControl: false,
      dotfiles: 'ignore',
      index: ['index.html'],
      list: false,
      redirect: false,
      decorateReply: false,
      schemaHide: true,
    });
  });
}
