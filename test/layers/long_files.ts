// Files longer than the limit, each with the reason why it is not split.
export const longFiles: ReadonlyMap<string, string> = new Map<string, string>([]);
