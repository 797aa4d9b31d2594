/** What tests use of ledger.mjs. */
export class Ledger {
  constructor(publishers: number);
  delivered: number;
  doubled: number;
  disordered: number;
  take(bytes: Uint8Array, at: number): void;
}
export function stamp(bytes: Uint8Array, at: number, from: number, sequence: number): void;
