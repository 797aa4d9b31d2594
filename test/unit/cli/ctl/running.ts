// `st-mqttd ctl` in this process, against a console on a fake registry, or against any server.
import { createServer, type RequestListener } from 'node:http';
import { ctl } from '../../../../src/cli/ctl/main.ts';
import type { ConsoleToken } from '../../../../src/config/resolve.ts';
import { Console } from '../../../../src/console/console.ts';
import { FakeDeps } from '../../console/fake.ts';

export interface Outcome {
  readonly code: number;
  readonly output: string;
  readonly complaints: string;
}

export interface Around {
  readonly environment?: Readonly<Record<string, string>>;
  readonly width?: number;
  /** Called with each text before it is taken. */
  readonly onWrite?: (text: string) => void;
}

export async function runCtl(args: readonly string[], around: Around = {}): Promise<Outcome> {
  let output = '';
  let complaints = '';
  const code = await ctl(args, {
    environment: around.environment ?? {},
    output: {
      width: around.width,
      write: async (text) => {
        around.onWrite?.(text);
        output += text;
      },
      writeBytes: async (bytes) => {
        output += Buffer.from(bytes).toString('latin1');
      },
    },
    complain: (text) => {
      complaints += `${text}\n`;
    },
  });
  return { code, output, complaints };
}

const closers: (() => Promise<void>)[] = [];

export async function closeAll(): Promise<void> {
  for (const close of closers.splice(0)) await close();
}

export interface RunningConsole {
  readonly deps: FakeDeps;
  readonly url: string;
  /** ctl with this console's address. */
  readonly ctl: (args: readonly string[], around?: Around) => Promise<Outcome>;
}

export async function runConsole(tokens: readonly ConsoleToken[] = []): Promise<RunningConsole> {
  const deps = new FakeDeps();
  const running = new Console(deps, tokens);
  const [address] = await running.start([{ host: '127.0.0.1', port: 0 }]);
  closers.push(() => running.stop());
  const url = `http://${address?.text}`;
  return { deps, url, ctl: (args, around) => runCtl([...args, '--url', url], around) };
}

/** Something else that speaks HTTP; its URL. */
export async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}
