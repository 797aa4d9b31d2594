export interface Statement {
  id: string;
  version: '5.0' | '3.1.1';
  scope: 'server' | 'client' | 'both';
  text: string;
  /** Of one about clients: why it is not tested here. */
  note?: string;
  /** Why it is put off. */
  later?: string;
  /** Statements of 5.0 that say the same: where they are cited, this one is obeyed. */
  as?: string[];
  /** Obeyed by the whole, so that no line can cite it: how. */
  whole?: string;
}

export interface Row extends Statement {
  obeyed: string[];
  shown: string[];
}

export interface Report {
  rows: Row[];
  unknown: string[];
}

export const statements: Statement[];
export function isDue(statement: Statement): boolean;
export function report(): Report;
export function gaps(found: Report): string[];
export function renderStatements(found: Report): string;
