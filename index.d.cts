// Types for CommonJS: require('st-mqttd') gives the ES module, as Node 20.19 and later load it.
import type * as st from './dist/index.js' with { 'resolution-mode': 'import' };

export type * from './dist/index.js' with { 'resolution-mode': 'import' };

// Its values, which `export type` leaves out.
export declare const Broker: typeof st.Broker;
export type Broker = st.Broker;
export declare const StMqttdError: typeof st.StMqttdError;
export type StMqttdError = st.StMqttdError;
export declare const UnreadablePayload: typeof st.UnreadablePayload;
export type UnreadablePayload = st.UnreadablePayload;
export declare const definePlugin: typeof st.definePlugin;
