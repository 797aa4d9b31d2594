/** How clients come in natively where nobody is asked who they are. Loaded by every start. */
import type { NativeAdmission } from '../native/addon.js';
import type { DeviceIdFrom } from './device-id.js';

/** Of a listener whose clients nobody is asked about: as deviceIdOf() would have it. */
export function openAdmission(deviceIdFrom: DeviceIdFrom | undefined): NativeAdmission {
  return deviceIdFrom === undefined || deviceIdFrom === 'client_id' ? 'open' : 'open_no_device';
}
