/** What tests use of report.mjs. */
export type Round = Readonly<Record<string, number | string>>;
export interface Ratio {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}
export interface Summary {
  readonly id: string;
  readonly title: string;
  readonly brokers: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly against: readonly { readonly name: string; perSecond?: Ratio; cpu?: Ratio }[];
}
export function summarize(
  row: { readonly id: string; readonly title: string },
  results: Readonly<Record<string, readonly Round[]>>,
): Summary;
export function faultsOf(summary: Summary): number;
export function rowText(summary: Summary): string;
export function splitResults(text: string): { readonly main: string; readonly section: string };
export function noiseText(load: { readonly average: number; readonly cores: number }): string;
