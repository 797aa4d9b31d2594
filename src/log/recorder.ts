/** The one way of the broker's parts to the log: records go to the logger and to "log" listeners. */
import { StMqttdError } from '../errors.js';
import type { Logger, LogRecord, RecordLevel } from './logger.js';
import type { LogModule } from './modules.js';

export interface RecorderOutlets {
  /** Whether the application listens to "log" events. */
  readonly isHeard: () => boolean;
  readonly emit: (record: LogRecord) => void;
}

export class Recorder {
  readonly logger: Logger;
  readonly #to: RecorderOutlets;

  constructor(logger: Logger, to: RecorderOutlets) {
    this.logger = logger;
    this.#to = to;
  }

  /** Whether anyone sees records of this level and module. */
  sees(level: RecordLevel, module: LogModule): boolean {
    return (this.logger.isOpen || this.#to.isHeard()) && this.logger.mayPass(level, module);
  }

  write(record: LogRecord): void {
    if (!this.sees(record.level, record.module) || !this.logger.passes(record)) return;
    this.logger.write(record);
    if (this.#to.isHeard()) this.#to.emit(record);
  }

  say(level: RecordLevel, module: LogModule, text: string, fields: LogRecord['fields'] = {}): void {
    this.write({ level, module, text, fields });
  }

  error(module: LogModule, error: unknown): void {
    const text = error instanceof StMqttdError ? error.message : `unexpected: ${String(error)}`;
    this.say('error', module, text, { err: error });
  }
}
