/** What is counted of logins, and the causes by which they are refused. */

/** Why somebody was refused, as it is counted. */
export const refusalCauses = [
  'bad_credentials',
  'no_credentials',
  'expired',
  'not_authorized',
  'bad_method',
  'address_limit',
  'unavailable',
] as const;
export type RefusalCause = (typeof refusalCauses)[number];

export interface AuthCounts {
  readonly accepted: number;
  /** Of those, without anyone knowing who it is. */
  readonly anonymous: number;
  readonly refused: Readonly<Record<RefusalCause, number>>;
  /** Addresses that were banned, or refused until their window ends. */
  readonly addressesLimited: number;
  /** Clients whose device id cannot be a level of a topic: they have no `me`. */
  readonly deviceIdsUnfit: number;
}

export function noRefusals(): Record<RefusalCause, number> {
  return Object.fromEntries(refusalCauses.map((cause) => [cause, 0])) as Record<
    RefusalCause,
    number
  >;
}

/** Of a broker that asks nobody. */
export const noAuthCounts: AuthCounts = {
  accepted: 0,
  anonymous: 0,
  refused: noRefusals(),
  addressesLimited: 0,
  deviceIdsUnfit: 0,
};
