// A broker without [console] loads nothing of it: followed along the imports that run.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..', '..');

/** What a file imports when it is loaded: neither types nor import(). */
function imports(file: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2023);
  return source.statements.flatMap((statement) => {
    if (ts.isImportDeclaration(statement)) {
      const { importClause: clause, moduleSpecifier } = statement;
      const named = clause?.namedBindings;
      const onlyTypes =
        clause?.phaseModifier === ts.SyntaxKind.TypeKeyword ||
        (named !== undefined &&
          ts.isNamedImports(named) &&
          clause?.name === undefined &&
          named.elements.every(({ isTypeOnly }) => isTypeOnly));
      return onlyTypes ? [] : [(moduleSpecifier as ts.StringLiteral).text];
    }
    if (ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined) {
      return statement.isTypeOnly ? [] : [(statement.moduleSpecifier as ts.StringLiteral).text];
    }
    return [];
  });
}

function reached(entry: string): Set<string> {
  const found = new Set<string>();
  const visit = (file: string) => {
    const name = relative(root, file);
    if (found.has(name)) return;
    found.add(name);
    for (const specifier of imports(file)) {
      if (!specifier.startsWith('.')) {
        found.add(specifier);
        continue;
      }
      const target = join(dirname(file), specifier).replace(/\.js$/, '.ts');
      if (existsSync(target)) visit(target);
    }
  };
  visit(join(root, entry));
  return found;
}

it.each(['src/index.ts', 'src/cli/main.ts'])('%s reaches no console and no fastify', (entry) => {
  const all = [...reached(entry)];
  // What is reached at all: the walk works.
  expect(all).toContain('src/errors.ts');
  const unwanted = all.filter((name) =>
    /^src\/console\/|^src\/plugins\/(?!slot|define)|^(@?fastify|ajv|ws|light-my-request|prom-client)/.test(
      name,
    ),
  );
  expect(unwanted).toEqual([]);
  const whole = [...reached('src/console/console.ts')];
  expect(whole).toEqual(expect.arrayContaining(['fastify', 'ajv', '@fastify/swagger']));
});

it.each(['src/index.ts', 'src/cli/main.ts', 'src/cli/run.ts'])(
  '%s reaches nothing of authentication but its gate',
  (entry) => {
    const auth = [...reached(entry)].filter((name) => name.startsWith('src/auth/'));
    const light = [
      'src/auth/counts.ts',
      'src/auth/gate.ts',
      'src/auth/open-admission.ts',
      'src/auth/open-warning.ts',
    ];
    expect(auth.filter((name) => !light.includes(name))).toEqual([]);
    expect([...reached(entry)].filter((name) => /^(jose|undici)/.test(name))).toEqual([]);
  },
);

it.each(['src/index.ts', 'src/cli/main.ts', 'src/cli/run.ts'])(
  '%s reaches nothing of requests to devices but their face',
  (entry) => {
    const heavy = ['composition/devices', 'device/service', 'device/rpc', 'device/presence'];
    for (const name of heavy) expect(reached(entry)).not.toContain(`src/${name}.ts`);
    expect(reached('src/composition/devices.ts')).toContain('src/device/rpc.ts');
  },
);

it('a provider is loaded where one of its kind is configured', () => {
  const all = [...reached('src/auth/build.ts')];
  expect(all).toContain('src/auth/chain.ts');
  const kinds = all.filter((name) => /^src\/auth\/(providers|jwt|http|passwords)\//.test(name));
  expect(kinds).toEqual(['src/auth/providers/handler.ts']);
  const libraries = /^(jose|undici)$/;
  expect(all.filter((name) => libraries.test(name))).toEqual([]);
  const of = (kind: string) =>
    [...reached(`src/auth/providers/${kind}.ts`)].filter((name) => libraries.test(name));
  expect(of('jwt')).toEqual(['jose']);
  expect([of('http'), of('password-file')]).toEqual([[], []]);
  expect([...reached('src/auth/jwt/key-source.ts')]).not.toContain('undici');
  expect([...reached('src/auth/http/client.ts')]).toContain('undici');
});
