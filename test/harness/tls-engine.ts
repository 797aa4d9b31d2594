// Which engine the tests of TLS are about. A file that wants another one sets it, then imports them.

export const tested: { engine: 'auto' | 'node' } = { engine: 'auto' };

export const isNode = () => tested.engine === 'node';

/** Node 20.18, 22.9 and later: a CA in between may be the end of trust. */
export function takesPartialChains(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 9) || (major === 20 && minor >= 18);
}
