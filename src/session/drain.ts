/** The broker's own end: clients are told, and what waits for them is sent. */
import type { Recorder } from '../log/recorder.js';
import type { CommandWriter } from '../native/commands.js';
import type { EventRouter } from './router.js';

interface Parts {
  readonly router: Pick<EventRouter, 'onDrained'>;
  readonly writer: Pick<CommandWriter, 'drain' | 'flush'>;
  readonly recorder: Pick<Recorder, 'say'>;
}

/** Beyond the drain's own deadline: then the threads are joined without its answer. */
const kSlackMs = 2000;

/** Resolves when everything is sent and closed, or soon after `timeoutMs`. */
export async function drain({ router, writer, recorder }: Parts, timeoutMs: number): Promise<void> {
  const drained = new Promise<number | undefined>((resolve) => {
    const timer = setTimeout(() => resolve(undefined), timeoutMs + kSlackMs);
    router.onDrained = (unflushed) => {
      clearTimeout(timer);
      resolve(unflushed);
    };
  });
  writer.drain(timeoutMs);
  writer.flush();
  const unflushed = await drained;
  if (unflushed === undefined) {
    const text = `stopping: the I/O threads did not answer in ${timeoutMs} ms`;
    recorder.say('error', 'broker', text);
  } else if (unflushed > 0) {
    const text = `stopping: ${unflushed} connections were cut with messages left, after ${timeoutMs} ms`;
    recorder.say('warn', 'broker', text, { connections: unflushed });
  }
}
