/** Queries under way: each gets its reply, or is rejected when the broker stops. */
import { fail } from '../errors.js';
import type { CommandWriter, QueryCommand } from '../native/commands.js';
import type { ReplyEvent } from '../native/events.js';

/** More wait here: so the replies that wait to be read are bounded. */
const kUnderWay = 8;

export type Question = Omit<QueryCommand, 'queryId'>;

interface Asked {
  readonly question: Question;
  readonly resolve: (reply: ReplyEvent) => void;
  readonly reject: (error: Error) => void;
}

export class Questions {
  readonly #writer: Pick<CommandWriter, 'query'>;
  readonly #underWay = new Map<number, Asked>();
  readonly #waiting: Asked[] = [];
  #lastId = 0;
  #ended = false;

  constructor(writer: Pick<CommandWriter, 'query'>) {
    this.#writer = writer;
  }

  ask(question: Question): Promise<ReplyEvent> {
    if (this.#ended) return Promise.reject(stopped());
    return new Promise((resolve, reject) => {
      const asked = { question, resolve, reject };
      if (this.#underWay.size < kUnderWay) this.#send(asked);
      else this.#waiting.push(asked);
    });
  }

  handle(reply: ReplyEvent): void {
    const asked = this.#underWay.get(reply.queryId);
    if (asked === undefined) return;
    this.#underWay.delete(reply.queryId);
    const next = this.#waiting.shift();
    if (next !== undefined) this.#send(next);
    asked.resolve(reply);
  }

  end(): void {
    this.#ended = true;
    const unanswered = [...this.#underWay.values(), ...this.#waiting];
    this.#underWay.clear();
    this.#waiting.length = 0;
    for (const { reject } of unanswered) reject(stopped());
  }

  #send(asked: Asked): void {
    const queryId = ++this.#lastId;
    this.#underWay.set(queryId, asked);
    this.#writer.query({ ...asked.question, queryId });
  }
}

function stopped(): Error {
  return fail('ST_BROKER_STATE', {
    doing: 'asking the registry',
    state: 'stopped',
    next: 'await start() first',
  });
}
