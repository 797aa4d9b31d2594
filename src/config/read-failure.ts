import { messageOf, systemCode } from '../errors.js';

/** Why a file could not be read, in words. */
export function readFailure(cause: unknown): string {
  switch (systemCode(cause)) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EACCES':
      return 'this user may not read it';
    case 'EISDIR':
      return 'it is a folder; name a file in it';
    default:
      return messageOf(cause);
  }
}
