/** What an application may ask for when it closes a client's connection. */
import { checkInstance, checkTable } from '../arguments.js';
import { fail } from '../errors.js';
import { serverDisconnects } from '../link/reason-codes.js';
import { isMqttText } from '../native/commands.js';

export interface DisconnectOptions {
  readonly reasonCode?: number;
  readonly reason?: string;
  /** Which connection of the Client Identifier (`instance` of a ClientRow); default: all. */
  readonly instance?: number | undefined;
}

const kAdministrativeAction = 0x98;

/** Throws ST_ARGUMENT for what DISCONNECT cannot say. */
export function checkDisconnect(
  clientId: string,
  options: DisconnectOptions,
): Required<DisconnectOptions> {
  checkTable('disconnecting a client', 'options', options);
  const { instance } = options;
  checkInstance('disconnecting a client', instance);
  const { reasonCode = kAdministrativeAction, reason = '' } = options;
  if (!serverDisconnects.has(reasonCode)) {
    throw fail('ST_ARGUMENT', {
      doing: `disconnecting "${clientId}"`,
      name: 'reasonCode',
      found: String(reasonCode),
      allowed: 'a Reason Code that a server may send in DISCONNECT, as 0x98',
    });
  }
  for (const [name, value] of [
    ['clientId', clientId],
    ['reason', reason],
  ] as const) {
    if (isMqttText(value)) continue;
    const allowed = 'text of at most 65535 bytes without U+0000';
    throw fail('ST_ARGUMENT', { doing: 'disconnecting a client', name, found: 'other', allowed });
  }
  return { reasonCode, reason, instance };
}
