// systemd's notify protocol from a real process, read by a real datagram socket.
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../harness/eventually.js';
import { freePort, standIn } from './broker-process.js';
import { Programs } from './programs.js';

const programs = new Programs();
afterEach(() => programs.endAll());
afterAll(() => programs.remove());

const listener = (name: string, port: number) =>
  `[unified.${name}]\nlisten = "127.0.0.1:${port}"\n`;

const python = spawnSync('python3', ['--version']).status === 0;
const kSupervisor = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind("\\0" + name[1:] if name[0] == "@" else name)
print("bound", flush=True)
while True:
    print(repr(s.recv(4096).decode()), flush=True)
`;

describe.skipIf(standIn || !python)('systemd', () => {
  test.each(['path', 'abstract'] as const)('is told of everything (%s)', async (kind) => {
    const port = await freePort();
    const name = kind === 'path' ? join(programs.folder, 'notify') : `@st-mqttd-e2e-${process.pid}`;
    const supervisor = spawn('python3', ['-c', kSupervisor, name], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let heard = '';
    supervisor.stdout.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
    });
    process.env.NOTIFY_SOCKET = name;
    process.env.WATCHDOG_USEC = '200000';
    try {
      await eventually(() => expect(heard).toContain('bound'));
      const program = await programs.start(listener('a', port), port);
      await eventually(() =>
        expect(heard).toMatch(/READY=1\\nSTATUS=Serving MQTT on 127\.0\.0\.1:\d+'/),
      );
      await eventually(() => expect(heard.match(/WATCHDOG=1/g)?.length).toBeGreaterThan(3));
      await program.reload();
      await eventually(() =>
        expect(heard).toMatch(/RELOADING=1\\nMONOTONIC_USEC=\d+\\n.*'\n(.*\n)*.*READY=1/),
      );
      program.configure('[mqtt]\nmax_qos = 7\n');
      await program.reload();
      await eventually(() =>
        expect(heard).toMatch(/READY=1[^\n]*the last reload failed: [^\n]*max_qos/),
      );
      program.child.kill('SIGTERM');
      expect((await program.exited).code).toBe(0);
      await eventually(() => expect(heard).toContain('STOPPING=1'));
      // A process that does not run says nothing: the watchdog would have it.
      const beats = heard.length;
      await sleep(300);
      expect(heard.length).toBe(beats);
    } finally {
      delete process.env.NOTIFY_SOCKET;
      delete process.env.WATCHDOG_USEC;
      supervisor.kill('SIGKILL');
    }
  });

  test('a process that stands still sends no heartbeat', async () => {
    const port = await freePort();
    const name = join(programs.folder, 'notify-still');
    const supervisor = spawn('python3', ['-c', kSupervisor, name], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let heard = '';
    supervisor.stdout.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
    });
    process.env.NOTIFY_SOCKET = name;
    process.env.WATCHDOG_USEC = '200000';
    try {
      await eventually(() => expect(heard).toContain('bound'));
      const { child } = await programs.start(listener('a', port), port);
      await eventually(() => expect(heard).toContain('WATCHDOG=1'));
      child.kill('SIGSTOP');
      await sleep(300);
      const beats = heard.length;
      await sleep(500);
      expect(heard.length).toBe(beats);
      child.kill('SIGCONT');
      await eventually(() => expect(heard.length).toBeGreaterThan(beats));
    } finally {
      delete process.env.NOTIFY_SOCKET;
      delete process.env.WATCHDOG_USEC;
      supervisor.kill('SIGKILL');
    }
  });
});
