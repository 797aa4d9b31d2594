/** The whole text of test/vectors/vectors.txt, from the JSON files in alphabetical order. */
export function renderVectors(): string;
