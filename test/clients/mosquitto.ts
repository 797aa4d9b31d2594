// mosquitto's command-line clients: mosquitto_pub, mosquitto_sub and mosquitto_rr.
import { Lines, type Result, type RunOptions, run, which } from './programs.js';

export const kCure = 'apt-get install mosquitto-clients coreutils';

const programs = {
  pub: which('mosquitto_pub'),
  sub: which('mosquitto_sub'),
  rr: which('mosquitto_rr'),
  // Of coreutils: mosquitto_sub buffers what it says of its subscription until a message comes.
  stdbuf: which('stdbuf'),
};

export const missing = Object.values(programs).includes(undefined);

function program(name: keyof typeof programs): string {
  const path = programs[name];
  if (path === undefined) throw new Error(`the program for '${name}' is missing: ${kCure}`);
  return path;
}

/** What mosquitto_sub's %j says of a message. */
export interface Message {
  readonly topic: string;
  readonly qos: number;
  readonly retain: number;
  readonly payload?: string;
  readonly payloadlen: number;
  readonly properties?: Readonly<Record<string, unknown>>;
}

export function publish(args: readonly string[], options?: RunOptions): Promise<Result> {
  return run(program('pub'), args, options);
}

export function request(args: readonly string[]): Promise<Result> {
  return run(program('rr'), args);
}

/** mosquitto_sub to its end (with -C, -E or -W among the arguments). */
export function subscribeToEnd(args: readonly string[]): Promise<Result> {
  return run(program('sub'), args);
}

/** A mosquitto_sub that goes on; resolves once all its subscriptions are acknowledged. */
export class Subscriber {
  readonly #process: Lines;

  private constructor(process: Lines) {
    this.#process = process;
  }

  static async start(args: readonly string[]): Promise<Subscriber> {
    const subscriber = new Subscriber(
      new Lines(program('stdbuf'), ['-oL', program('sub'), ...args, '-d', '-F', '%j']),
    );
    const filters = args.filter((argument) => argument === '-t').length;
    try {
      await subscriber.#process.until((lines) => {
        const granted = lines.find((line) => line.startsWith('Subscribed '));
        return granted !== undefined && granted.split(',').length === filters;
      });
    } catch (error) {
      // Nobody else knows the process: it would outlive the test.
      await subscriber.end('SIGKILL');
      throw error;
    }
    return subscriber;
  }

  get messages(): Message[] {
    return this.#process.lines
      .filter((line) => line.startsWith('{'))
      .map((line): Message => JSON.parse(line));
  }

  async take(count: number): Promise<Message[]> {
    const enough = () => this.messages.length >= count;
    await this.#process.until(enough);
    return this.messages.slice(0, count);
  }

  /** Ends it politely (SIGTERM: DISCONNECT) or not (SIGKILL). */
  end(signal?: NodeJS.Signals): Promise<number | null> {
    return this.#process.end(signal);
  }
}
