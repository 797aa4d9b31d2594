/** Metrics of DirectWrites, of `me` topics and of whose device topics clients may use. */
import type { DeviceCounts } from '../device/types.js';
import { byLabel, each, kPrefix, type Section, single } from './family.js';

export const deviceFamilies = [
  byLabel(
    'direct_writes_total',
    'DirectWrites, by what became of them first.',
    'outcome',
    each('direct_writes_', ['delivered', 'dropped', 'queued']),
  ),
  byLabel(
    'me_refused_total',
    'PUBLISH, filters and Wills by v1/devices/me/ that were refused: the client has no device id, one that cannot stand in a topic, or there is no such topic.',
    'cause',
    {
      no_id: ['me_refused_no_id'],
      unfit_id: ['me_refused_unfit_id'],
      pattern: ['me_refused_pattern'],
    },
  ),
  byLabel(
    'device_denied_total',
    'PUBLISH, filters and Wills to another device’s topics that were refused.',
    'what',
    each('device_denied_', ['publish', 'subscribe', 'will']),
  ),
];

const answers: Readonly<Record<string, keyof DeviceCounts>> = {
  answered: 'answers',
  timed_out: 'timeouts',
  refused: 'requestsRefused',
  gone: 'requestsGone',
};

/** Counted by src/device from the first use of devices on; before it all are 0. */
export const deviceSection: Section = {
  title: 'Devices and requests to them',
  families: [
    single(
      'gauge',
      'devices_known',
      'Devices whose state is known, from the first use of devices, handlers or gateways on.',
      ({ devices }) => devices.devicesKnown,
    ),
    single(
      'gauge',
      'devices_online',
      'Of these, devices that are connected, or behind a gateway.',
      ({ devices }) => devices.devicesOnline,
    ),
    single(
      'gauge',
      'rpc_requests_under_way',
      'Requests to devices that wait for their answer.',
      ({ devices }) => devices.requestsUnderWay,
    ),
    single(
      'counter',
      'rpc_requests_total',
      'Requests and notifications to devices that were begun.',
      ({ devices }) => devices.requests,
    ),
    {
      type: 'counter',
      name: `${kPrefix}rpc_requests_ended_total`,
      help: 'Requests to devices by outcome. Refused: the device was away or had not subscribed, or there were too many. Gone: nobody could answer any more.',
      labels: ['outcome'],
      read: ({ devices }) =>
        Object.entries(answers).map(([outcome, of]) => ({
          labels: { outcome },
          value: devices[of],
        })),
    },
    single(
      'counter',
      'rpc_late_answers_total',
      'Answers of devices that nobody waited for, or not any more.',
      ({ devices }) => devices.lateAnswers,
    ),
    single(
      'counter',
      'rpc_foreign_answers_total',
      'Answers of a device to what another one was asked.',
      ({ devices }) => devices.foreignAnswers,
    ),
    single(
      'counter',
      'device_requests_total',
      'Requests of devices to handlers.',
      ({ devices }) => devices.deviceRequests,
    ),
    single(
      'counter',
      'device_request_errors_total',
      'Of these, those that were answered with an error.',
      ({ devices }) => devices.deviceRequestErrors,
    ),
    single(
      'counter',
      'gateway_messages_total',
      'Messages that gateways have published for their devices.',
      ({ devices }) => devices.gatewayMessages,
    ),
    single(
      'counter',
      'gateway_refused_total',
      'What was refused under v1/gateway/: for devices that are not the gateway’s, unreadable, or of who is no gateway.',
      ({ devices }) => devices.gatewayRefused,
    ),
  ],
};
