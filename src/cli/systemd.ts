/**
 * systemd's notify protocol (sd_notify(3)): ready, reloading, stopping, and the watchdog. Loaded
 * only where NOTIFY_SOCKET is set.
 */
import { getSystemErrorName } from 'node:util';
import type { Broker } from '../broker.js';
import { messageOf } from '../errors.js';
import { loadAddon } from '../native/load.js';
import type { Supervisor } from './signals.js';

export interface SystemdSupervisor extends Supervisor {
  ready(): void;
}

type Environment = Readonly<Record<string, string | undefined>>;
type Watched = Pick<Broker, 'addresses' | 'ping'>;

/** `send`: one datagram to the socket of this name. */
export function supervisorOf(
  broker: Watched,
  environment: Environment,
  send: (socket: string, text: string) => void = notify,
): SystemdSupervisor {
  const socket = environment.NOTIFY_SOCKET ?? '';
  let isToldOff = false;
  const tell = (...lines: string[]) => {
    try {
      send(socket, lines.join('\n'));
    } catch (error) {
      // A supervisor that is gone is no reason to stop serving; saying it once is enough.
      if (!isToldOff) console.error(`st-mqttd: telling systemd: ${messageOf(error)}`);
      isToldOff = true;
    }
  };
  const status = () => {
    const where = broker.addresses.map(({ text }) => text);
    return `STATUS=Serving MQTT on ${where.slice(0, 4).join(', ')}${where.length > 4 ? ', …' : ''}`;
  };
  const watchdog = watchdogMs(environment);
  let timer: NodeJS.Timeout | undefined;
  return {
    ready: () => {
      tell('READY=1', status());
      if (watchdog === undefined) return;
      timer = setInterval(() => {
        // From this loop, and only when every I/O thread has answered: if either is stuck, systemd
        // hears nothing and restarts us.
        void broker.ping().then(
          () => tell('WATCHDOG=1'),
          () => undefined,
        );
      }, watchdog / 2).unref();
    },
    reloading: () => {
      const usec = process.hrtime.bigint() / 1000n;
      tell('RELOADING=1', `MONOTONIC_USEC=${usec}`, 'STATUS=Reading the configuration again');
    },
    reloaded: (error) => {
      const failed = error === undefined ? '' : `; the last reload failed: ${oneLine(error)}`;
      tell('READY=1', status() + failed);
    },
    stopping: () => {
      // The watchdog goes on: a drain that hangs is noticed too.
      tell('STOPPING=1', 'STATUS=Draining');
      timer?.ref();
    },
  };
}

function notify(socket: string, text: string): void {
  const errno = loadAddon().notify(socket, text);
  if (errno !== 0) throw new Error(`${getSystemErrorName(-errno)}: NOTIFY_SOCKET=${socket}`);
}

/** undefined = there is none, or it is another process's. */
function watchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: Environment): number | undefined {
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(process.pid)) return undefined;
  const usec = Number(WATCHDOG_USEC);
  return Number.isFinite(usec) && usec > 0 ? usec / 1000 : undefined;
}

function oneLine(error: unknown): string {
  return messageOf(error).replaceAll('\n', ' ');
}
