// What systemd is told, and when the watchdog is kept quiet.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { supervisorOf } from '../../../src/cli/systemd.ts';

const addresses = ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3', '127.0.0.1:4', '127.0.0.1:5'].map(
  (text) => ({ listener: 'x', kind: 'unified' as const, host: '127.0.0.1', port: 1, text }),
);

function make(environment: Record<string, string> = {}, ping = () => Promise.resolve()) {
  const sent: string[] = [];
  const send = (socket: string, text: string) => void sent.push(`${socket} ${text}`);
  const broker = { addresses: addresses.slice(0, 2), ping };
  const supervisor = supervisorOf(broker, { NOTIFY_SOCKET: '@s', ...environment }, send);
  return { sent, supervisor, broker };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

test('ready, reloading, ready again, stopping', () => {
  const { sent, supervisor } = make();
  supervisor.ready();
  supervisor.reloading();
  supervisor.reloaded(undefined);
  supervisor.reloaded(new Error('a\nb'));
  supervisor.stopping();
  const serving = 'STATUS=Serving MQTT on 127.0.0.1:1, 127.0.0.1:2';
  expect(sent).toEqual([
    `@s READY=1\n${serving}`,
    expect.stringMatching(/^@s RELOADING=1\nMONOTONIC_USEC=\d{6,}\nSTATUS=Reading/),
    `@s READY=1\n${serving}`,
    `@s READY=1\n${serving}; the last reload failed: a b`,
    '@s STOPPING=1\nSTATUS=Draining',
  ]);
});

test('many addresses are not all named', () => {
  const sent: string[] = [];
  supervisorOf(
    { addresses, ping: () => Promise.resolve() },
    { NOTIFY_SOCKET: '/s' },
    (_, text) => void sent.push(text),
  ).ready();
  expect(sent[0]).toMatch(/:4, …$/);
});

test('a supervisor that is gone is said once, and nothing else', () => {
  const said = vi.spyOn(console, 'error').mockImplementation(() => {});
  const supervisor = supervisorOf(
    { addresses, ping: () => Promise.resolve() },
    { NOTIFY_SOCKET: '/s' },
    () => {
      throw new Error('ECONNREFUSED');
    },
  );
  supervisor.ready();
  supervisor.stopping();
  expect(said.mock.calls).toEqual([['st-mqttd: telling systemd: ECONNREFUSED']]);
  said.mockRestore();
});

describe('the watchdog', () => {
  const beats = (sent: string[]) => sent.filter((text) => text.includes('WATCHDOG')).length;

  test('is told at half of its time, from ready on', async () => {
    const { sent, supervisor } = make({ WATCHDOG_USEC: '1000000' });
    await vi.advanceTimersByTimeAsync(2000);
    expect(sent).toEqual([]);
    supervisor.ready();
    await vi.advanceTimersByTimeAsync(2100);
    expect(beats(sent)).toBe(4);
    // A drain that hangs must be noticed too.
    supervisor.stopping();
    await vi.advanceTimersByTimeAsync(500);
    expect(beats(sent)).toBe(5);
  });

  test.each([
    ['there is none', {}],
    ['it is none', { WATCHDOG_USEC: 'x' }],
    ["it is another process's", { WATCHDOG_USEC: '1000000', WATCHDOG_PID: '1' }],
  ])('is not told where %s', async (_, environment) => {
    const { sent, supervisor } = make(environment);
    supervisor.ready();
    await vi.advanceTimersByTimeAsync(5000);
    expect(beats(sent)).toBe(0);
  });

  test('is not told while an I/O thread does not answer', async () => {
    let answer = () => {};
    const { sent, supervisor } = make(
      { WATCHDOG_USEC: '1000000', WATCHDOG_PID: String(process.pid) },
      () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    );
    supervisor.ready();
    await vi.advanceTimersByTimeAsync(3000);
    expect(beats(sent)).toBe(0);
    answer();
    await vi.advanceTimersByTimeAsync(1);
    expect(beats(sent)).toBe(1);
  });
});
