// expect.poll() with the patience that a browser on a busy machine needs.
import { expect } from 'vitest';

export const soon = <T>(read: () => T) => expect.poll(read, { timeout: 10_000, interval: 50 });
