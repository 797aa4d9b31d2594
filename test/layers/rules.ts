// The rules of the layout, as functions from files to violations: no file system here, so that each
// rule can be shown to catch what it forbids.
import { posix } from 'node:path';
import ts from 'typescript';

export interface SourceText {
  /** Relative to the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Violation {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

// ---- C++ ---------------------------------------------------------------------------------------

/** A folder may include its own files and those of folders with a lower rank. */
const nativeRanks: ReadonlyMap<string, number> = new Map([
  ['base', 0],
  ['contract', 1],
  ['wire', 2],
  ['stream', 3],
  ['route', 3],
  ['session', 4],
  ['io', 5],
  ['store', 5],
  ['engine', 6],
  ['addon', 7],
]);

const napiHeader =
  /^(napi(-inl)?\.h|node(_api|_api_types|_buffer|_object_wrap)?\.h|js_native_api.*\.h|uv(\/.*|\.h)|v8.*\.h)$/;

const ioHeader =
  /^((sys\/)?(socket|epoll|poll|select|un|uio|eventfd|timerfd)\.h|poll\.h|ifaddrs\.h|netdb\.h|net\/.*|netinet\/.*|arpa\/.*|linux\/(io_uring|sockios|tcp).*|liburing\.h|openssl\/.*)$/;

/** Headers whose purpose is a system call: files, threads, processes, clocks, the terminal. */
const systemHeader =
  /^(sys\/.*|linux\/.*|unistd\.h|fcntl\.h|dlfcn\.h|dirent\.h|pthread\.h|sched\.h|signal\.h|csignal|spawn\.h|termios\.h|time\.h|ctime|stdio\.h|cstdio|thread|future|condition_variable|semaphore|stop_token|barrier|latch|fstream|iostream|ostream|istream|filesystem|syncstream|print)$/;

/** Calls that reach the system through an innocent header. */
const systemCall =
  /\b(?:(?:steady|system|high_resolution)_clock::now|clock_gettime|gettimeofday|random_device|getenv|this_thread::)\b|\bthis_thread::/;

const pureFolders: ReadonlySet<string> = new Set(['wire', 'stream', 'route', 'session']);

/** Comments and literals blanked out, so that prose about a call is not taken for one. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"/g, (match) =>
    match.startsWith('"') ? match : match.replace(/[^\n]/g, ' '),
  );
}

function nativeFolder(path: string): string | undefined {
  return /^native\/([^/]+)\//.exec(path)?.[1];
}

/** Every rule on `#include` lines, for files under native/, test/native/, test/fuzz/, bench/native/. */
export function checkNative(files: readonly SourceText[]): Violation[] {
  const known = new Set(files.map(({ path }) => path));
  return files.flatMap((file) => checkNativeFile(file, known));
}

function checkNativeFile({ path, text }: SourceText, known: ReadonlySet<string>): Violation[] {
  const found: Violation[] = [];
  const folder = nativeFolder(path);
  const rank = folder === undefined ? undefined : nativeRanks.get(folder);
  if (path.startsWith('native/') && rank === undefined) {
    found.push({ rule: 'native-folder', path, line: 1, text: `unknown folder: ${path}` });
    return found;
  }
  withoutComments(text)
    .split('\n')
    .forEach((content, index) => {
      const line = index + 1;
      const add = (rule: string) => found.push({ rule, path, line, text: content.trim() });
      const include = /^\s*#\s*include\s*([<"])([^>"]+)[>"]/.exec(content);
      if (include === null) {
        if (folder !== undefined && pureFolders.has(folder) && systemCall.test(content)) {
          add('pure-no-system-call');
        }
        return;
      }
      const header = include[2] ?? '';
      if (napiHeader.test(header) && folder !== 'addon') add('only-addon-includes-napi');
      if (folder !== undefined) {
        if (ioHeader.test(header) && folder !== 'io') add('only-io-includes-sockets');
        if (systemHeader.test(header) && pureFolders.has(folder)) add('pure-no-system-header');
      }
      if (include[1] !== '"') return;
      const target = includedFolder(header);
      if (target === undefined) {
        if (folder !== undefined) add('include-path-relative-to-native');
        return;
      }
      if (!known.has(`native/${header}`)) add('include-exists');
      if (folder === undefined) {
        if (target === 'addon') add('tests-build-without-node');
        return;
      }
      const targetRank = nativeRanks.get(target) ?? Number.POSITIVE_INFINITY;
      if (target !== folder && targetRank >= (rank ?? 0)) add('native-order');
    });
  return found;
}

function includedFolder(header: string): string | undefined {
  const folder = /^([a-z]+)\//.exec(header)?.[1];
  return folder !== undefined && nativeRanks.has(folder) ? folder : undefined;
}

// ---- TypeScript --------------------------------------------------------------------------------

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly line: number;
}

interface Parsed {
  readonly path: string;
  readonly imports: readonly Import[];
  /** Names after `new`, with their line. */
  readonly constructed: readonly { readonly name: string; readonly line: number }[];
  /** Classes with both start() and stop(): these are services. */
  readonly services: readonly string[];
  /** Lines that load a native library by other means than an import. */
  readonly loads: readonly number[];
}

function parse({ path, text }: SourceText): Parsed {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const imports: Import[] = [];
  const constructed: { name: string; line: number }[] = [];
  const services: string[] = [];
  const loads: number[] = [];
  const lineOf = (node: ts.Node) =>
    source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;

  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const typeOnly = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
      imports.push({ specifier: node.moduleSpecifier.text, typeOnly, line: lineOf(node) });
    } else if (
      ts.isExportDeclaration(node) &&
      node.moduleSpecifier !== undefined &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      imports.push({
        specifier: node.moduleSpecifier.text,
        typeOnly: node.isTypeOnly,
        line: lineOf(node),
      });
    } else if (ts.isCallExpression(node)) {
      const [argument] = node.arguments;
      const callee = node.expression.getText(source);
      if (
        argument !== undefined &&
        ts.isStringLiteral(argument) &&
        (node.expression.kind === ts.SyntaxKind.ImportKeyword || callee === 'require')
      ) {
        imports.push({ specifier: argument.text, typeOnly: false, line: lineOf(node) });
      }
      if (callee === 'createRequire' || callee.endsWith('.dlopen')) loads.push(lineOf(node));
    } else if (ts.isNewExpression(node)) {
      constructed.push({ name: node.expression.getText(source), line: lineOf(node) });
    } else if (ts.isClassDeclaration(node) && node.name !== undefined) {
      const members = new Set(
        node.members.flatMap((member) =>
          ts.isMethodDeclaration(member) ? [member.name.getText(source)] : [],
        ),
      );
      if (members.has('start') && members.has('stop')) services.push(node.name.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { path, imports, constructed, services, loads };
}

/** The file under src/ that an import names, or undefined for packages and builtins. */
function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts');
}

const brokerFile = 'src/broker.ts';
/** The broker, and the folder that makes what it consists of. */
const isCompositionRoot = (path: string) =>
  path === brokerFile || path.startsWith('src/composition/');

/** Every rule on imports and constructions, for files under src/. */
export function checkTypeScript(files: readonly SourceText[]): Violation[] {
  const parsed = files.map(parse);
  const services = new Set(
    parsed.filter(({ path }) => path !== brokerFile).flatMap((file) => file.services),
  );
  return parsed.flatMap((file) => checkTypeScriptFile(file, services));
}

function checkTypeScriptFile(file: Parsed, services: ReadonlySet<string>): Violation[] {
  const { path } = file;
  const found: Violation[] = [];
  const inside = (folder: string) => path.startsWith(`src/${folder}/`);

  for (const { specifier, typeOnly, line } of file.imports) {
    const add = (rule: string) => found.push({ rule, path, line, text: specifier });
    const target = resolveImport(path, specifier);
    if (target === undefined) {
      if (/^(node-gyp-build|bindings)(\/|$)|\.node$/.test(specifier) && !inside('native')) {
        add('only-native-loads-the-addon');
      }
      continue;
    }
    if (!target.startsWith('src/')) add('src-imports-only-src');
    if (target.endsWith('.node') && !inside('native')) add('only-native-loads-the-addon');
    if (target.startsWith('src/cli/') && !inside('cli')) add('no-service-imports-cli');
    if (target.startsWith('src/console/') && !inside('console') && !isCompositionRoot(path)) {
      add('no-service-imports-console');
    }
    if (target.startsWith('src/composition/') && !typeOnly && !isCompositionRoot(path)) {
      add('only-the-broker-imports-composition');
    }
    if (target === brokerFile && !typeOnly && path !== 'src/index.ts' && !inside('cli')) {
      add('services-do-not-import-the-broker');
    }
    // The shape of a configuration is data, and may be named; what it means is policy.
    const shape = typeOnly && target.startsWith('src/config/');
    const own = target.startsWith('src/native/') || target === 'src/errors.ts';
    if (inside('native') && !own && !shape) {
      add('native-dispatch-has-no-policy');
    }
  }
  if (!inside('native')) {
    for (const line of file.loads) {
      found.push({ rule: 'only-native-loads-the-addon', path, line, text: 'createRequire/dlopen' });
    }
  }
  if (!isCompositionRoot(path)) {
    for (const { name, line } of file.constructed) {
      if (services.has(name)) {
        found.push({ rule: 'only-broker-constructs-services', path, line, text: `new ${name}` });
      }
    }
  }
  return found;
}

// ---- length ------------------------------------------------------------------------------------

export const longestFileLines = 450;

/** Files longer than the limit without a stated reason, and stated reasons that are not needed. */
export function checkLength(
  files: readonly SourceText[],
  reasons: ReadonlyMap<string, string>,
): Violation[] {
  const found: Violation[] = [];
  const unneeded = new Set(reasons.keys());
  for (const { path, text } of files) {
    const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
    if (lines <= longestFileLines) continue;
    unneeded.delete(path);
    if (!reasons.has(path)) {
      found.push({ rule: 'file-length', path, line: lines, text: `${lines} lines` });
    }
  }
  for (const path of unneeded) {
    found.push({
      rule: 'file-length-reason-unneeded',
      path,
      line: 1,
      text: 'short enough or gone',
    });
  }
  return found;
}
