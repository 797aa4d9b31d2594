/** Devices and their states. */
import type { JsonObject } from './api.js';
import { type Call, list, timeText } from './listings.js';
import { cell } from './output.js';
import type { Column } from './table.js';

const columns: readonly Column<JsonObject>[] = [
  { title: 'DEVICE', of: ({ deviceid }) => cell(deviceid) },
  { title: 'TENANT', of: ({ tenant }) => cell(tenant) },
  { title: 'STATE', of: ({ online }) => (online === true ? 'online' : 'away') },
  {
    title: 'SINCE',
    of: (row) => timeText(row.online === true ? row.connected_at : row.disconnected_at),
  },
  { title: 'GATEWAY', of: ({ gateway }) => cell(gateway) },
  { title: 'CLIENT', of: ({ clientid }) => cell(clientid) },
  { title: 'CAUSE', of: ({ last_cause }) => cell(last_cause) },
];

export function listDevices(call: Call): Promise<void> {
  const rows = call.api.rows('/api/v1/devices', { query: {}, doing: 'listing devices' });
  return list(call, columns, rows);
}
