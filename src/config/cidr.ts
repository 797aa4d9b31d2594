/** "10.0.0.0/8", "2001:db8::/32", "192.0.2.7": whose addresses something is about. */
import { isIPv4, isIPv6 } from 'node:net';

export function isCidr(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  if (rest.length > 0 || (bits !== undefined && !/^(0|[1-9]\d{0,2})$/.test(bits))) return false;
  const most = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : -1;
  return most >= 0 && Number(bits ?? most) <= most;
}

export const kCidrs = 'addresses or networks, as "10.0.0.0/8", "192.0.2.7" or "2001:db8::/32"';
