/** Where the fields of a record lie: laid out as a C++ compiler does. */

const widths = { u8: 1, u16: 2, u32: 4, u64: 8 } as const;
type Width = keyof typeof widths;

export interface Layout<F extends string = string> {
  readonly name: string;
  /** Size of the fixed part, header included: byte strings start behind it. */
  readonly bytes: number;
  readonly at: Readonly<Record<F, number>>;
  readonly widths: Readonly<Record<F, number>>;
}

const kHeaderBytes = 8;

/** Lays fields out as a C++ compiler does: each aligned to its width, the whole to the widest. */
export function layout<const F extends Record<string, Width>>(
  name: string,
  fields: F,
): Layout<keyof F & string> {
  const at: Record<string, number> = {};
  const bytesOf: Record<string, number> = {};
  let offset = kHeaderBytes;
  let alignment = 4;
  for (const [field, width] of Object.entries(fields)) {
    const bytes = widths[width];
    offset = Math.ceil(offset / bytes) * bytes;
    at[field] = offset;
    bytesOf[field] = bytes;
    offset += bytes;
    alignment = Math.max(alignment, bytes);
  }
  const bytes = Math.ceil(offset / alignment) * alignment;
  return { name, bytes, at, widths: bytesOf } as Layout<keyof F & string>;
}
