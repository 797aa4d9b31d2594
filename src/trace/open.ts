/** The Tracer of one run of the broker: loaded and made when it is first asked for. */
import type { Recorder } from '../log/recorder.js';
import type { NativeBroker } from '../native/addon.js';
import type { EventRouter } from '../session/router.js';
import type { Tracer, TracerDeps } from './tracer.js';

interface TracedRun {
  readonly native: Pick<NativeBroker, 'trace' | 'untrace'>;
  readonly router: Pick<EventRouter, 'onTrace'>;
  readonly recorder: Pick<Recorder, 'say'>;
}

/** The composition root's, which does not load the class before it is wanted. */
type Construct = (Class: typeof Tracer, deps: TracerDeps) => Tracer;

const tracers = new WeakMap<TracedRun, Promise<Tracer>>();

export function tracerOf(run: TracedRun, construct: Construct): Promise<Tracer> {
  const known = tracers.get(run);
  if (known !== undefined) return known;
  const making = make(run, construct);
  tracers.set(run, making);
  return making;
}

/** At the end of the run; nothing is made for it. */
export async function closeTracerOf(run: TracedRun): Promise<void> {
  try {
    await (await tracers.get(run))?.close();
  } catch (error) {
    run.recorder.say('error', 'trace', "a trace's file cannot be written", { err: error });
  }
}

async function make(
  { native, router, recorder }: TracedRun,
  construct: Construct,
): Promise<Tracer> {
  const { Tracer } = await import('./tracer.js');
  const tracer = construct(Tracer, {
    native,
    log: (level, text, fields) => recorder.say(level, 'trace', text, fields),
  });
  router.onTrace = tracer.handle;
  return tracer;
}
