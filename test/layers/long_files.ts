// Files longer than the limit, each with the reason why it is not split.
export const longFiles: ReadonlyMap<string, string> = new Map<string, string>([
  ['native/contract/records.hpp', 'the whole contract with TypeScript, read and mirrored as one'],
  ['src/native/contract.ts', 'the mirror of native/contract/records.hpp, for the same reason'],
]);
