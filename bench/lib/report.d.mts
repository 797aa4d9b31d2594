/** What tests use of report.mjs. */
export type Round = Readonly<Record<string, number | string>>;
export interface Row {
  readonly id: string;
  readonly title: string;
  readonly kind: string;
  readonly metrics?: readonly Readonly<Record<string, unknown>>[];
  readonly atLeast?: number;
  readonly p99AtMost?: number;
}
export interface Verdict {
  readonly label: string;
  readonly share?: { readonly median: number; readonly low: number; readonly high: number };
  readonly met?: boolean;
}
export interface Summary {
  readonly id: string;
  readonly title: string;
  readonly kind: string;
  readonly brokers: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly verdicts: readonly Verdict[];
}
export function summarize(row: Row, results: Readonly<Record<string, readonly Round[]>>): Summary;
export function rowText(summary: Summary): string;
