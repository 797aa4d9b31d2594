/** What devices' requests count: beside the service, so that a plain start does not load that. */
import type { DeviceCounts } from './types.js';

export const noDeviceCounts: DeviceCounts = {
  devicesKnown: 0,
  devicesOnline: 0,
  requestsUnderWay: 0,
  requests: 0,
  answers: 0,
  timeouts: 0,
  requestsRefused: 0,
  requestsGone: 0,
  lateAnswers: 0,
  foreignAnswers: 0,
  deviceRequests: 0,
  deviceRequestErrors: 0,
  gatewayMessages: 0,
  gatewayRefused: 0,
};
