// MQTT 3.1.1, 6 Using WebSocket as a network transport.
import { it } from 'vitest';
import { conformance } from './suite.js';
import { binaryFramesOnly, packetsAreNotAligned, subprotocolIsMqtt } from './websocket.js';

conformance('MQTT 3.1.1, 6 WebSocket', '3.1.1', { transport: 'websocket' }, (s) => {
  it('[MQTT-6.0.0-1] packets go in binary frames; another data frame ends the connection', () =>
    binaryFramesOnly(s));

  it('[MQTT-6.0.0-2] packets are not aligned on frames', () => packetsAreNotAligned(s));

  it('[MQTT-6.0.0-4] the subprotocol is "mqtt"; without it there is no upgrade', () =>
    subprotocolIsMqtt(s));
});
