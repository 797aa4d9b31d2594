/** What tests use of statistics.mjs. */
export function median(values: readonly (number | undefined)[]): number | undefined;
export function figure(value: number | null | undefined): string;
