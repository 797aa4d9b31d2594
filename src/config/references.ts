/**
 * What stands for another text in a value: "file:PATH" for a file's content, "${NAME}" for a variable
 * of the environment ("$${" is a plain "${"). So a secret need not stand in the configuration.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { readFailure } from './read-failure.js';

const kMaxBytes = 64 * 1024;
const kFile = 'file:';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface References {
  /** Where relative paths begin. */
  readonly folder: string;
  readonly environment: Environment;
  /** Names that stay as they are written: they stand for something else later. */
  readonly kept?: ReadonlySet<string>;
}

export type Expanded =
  /** The value as it is: it refers to nothing. */
  | { readonly kind: 'plain'; readonly value: unknown }
  /** What it stands for; never to be shown in a message. */
  | { readonly kind: 'referred'; readonly value: unknown }
  | { readonly kind: 'missing'; readonly why: string };

/** A list's elements are expanded one by one. */
export function expandReferences(raw: unknown, references: References): Expanded {
  if (!Array.isArray(raw)) return expandOne(raw, references);
  const parts = raw.map((one) => expandOne(one, references));
  const missing = parts.find((part) => part.kind === 'missing');
  if (missing !== undefined) return missing;
  const kind = parts.some((part) => part.kind === 'referred') ? 'referred' : 'plain';
  return { kind, value: parts.map((part) => (part.kind === 'missing' ? '' : part.value)) };
}

function expandOne(raw: unknown, references: References): Expanded {
  const { folder } = references;
  if (typeof raw !== 'string') return { kind: 'plain', value: raw };
  const text = expandVariables(raw, references);
  if (text.kind === 'missing' || typeof text.value !== 'string') return text;
  // Only what is written is a reference, not what a variable holds.
  return raw.startsWith(kFile) ? readReference(text.value.slice(kFile.length), folder) : text;
}

function expandVariables(raw: string, { environment, kept }: References): Expanded {
  if (!raw.includes('${')) return { kind: 'plain', value: raw };
  let missing: string | undefined;
  let referred = false;
  const value = raw.replaceAll(/\$(\$\{)|\$\{([^}]*)\}?/g, (whole, escaped, name: string) => {
    if (escaped !== undefined) return '${';
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || !whole.endsWith('}')) {
      // Not quoted: it may be a part of a password.
      missing ??= `a "\${" in it begins no variable; write \${NAME}, or $\${ for a plain \${`;
      return '';
    }
    if (kept?.has(name)) return whole;
    referred = true;
    const found = environment[name];
    if (found === undefined) missing ??= `the environment has no variable ${name}`;
    return found ?? '';
  });
  if (missing !== undefined) return { kind: 'missing', why: missing };
  return { kind: referred ? 'referred' : 'plain', value };
}

/** The end of the file's last line is an editor's, not the value's. */
function readReference(path: string, folder: string): Expanded {
  const file = resolve(folder, path);
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, 'r');
    const bytes = Buffer.alloc(kMaxBytes + 1);
    let length = 0;
    while (length < bytes.length) {
      const more = readSync(descriptor, bytes, length, bytes.length - length, null);
      if (more === 0) break;
      length += more;
    }
    if (length > kMaxBytes) {
      return { kind: 'missing', why: `${file} has more than ${kMaxBytes} bytes` };
    }
    return { kind: 'referred', value: bytes.toString('utf8', 0, length).replace(/\r?\n$/, '') };
  } catch (cause) {
    return { kind: 'missing', why: `reading ${file}: ${readFailure(cause)}` };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
