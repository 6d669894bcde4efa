// Who of a call speaks when, and what: turns that follow from a seed alone, so that they can be worked out again afterwards.
import { createRandom, type Random } from '../callers/random.ts';
import type { Clip } from './voices.ts';

/** Somebody's turn to speak; it lasts as long as the clip. */
export interface Turn {
  readonly seat: number;
  readonly clip: Clip;
  /** Frames of 20 ms since the run began. */
  readonly startFrame: number;
}

/** A call to make turns for. */
export interface TurnsOptions {
  /** What each seat of the call can say; nothing for one who listens, and has no turns. */
  readonly seats: readonly (readonly Clip[])[];
  /** Share of the time that each of them speaks, above 0 and at most 1. */
  readonly talkRatio: number;
  readonly seed: number;
}

/**
 * The turns of one call. As many callers as the ratio leaves room for (two at 0.4) take turns with each other, never two of
 * them at a time; a larger call is several such conversations side by side, as in a conference where people talk over each other.
 * At a ratio of 1 each speaks clip after clip.
 */
export class Turns {
  /** By seat. */
  readonly #conversations: (Conversation | null)[];

  constructor({ seats, talkRatio, seed }: TurnsOptions) {
    if (!(talkRatio > 0 && talkRatio <= 1)) {
      throw new RangeError(`Expected \`talkRatio\` to be above 0 and at most 1, got \`${talkRatio}\``);
    }
    const perConversation = Math.max(1, Math.floor(1 / talkRatio + 1e-9));
    const speakers = seats.flatMap((clips, seat) => (clips.length > 0 ? [{ seat, clips }] : []));
    const count = Math.ceil(speakers.length / perConversation);
    this.#conversations = Array.from({ length: seats.length }, () => null);
    for (let index = 0; index < count; index += 1) {
      const members = speakers.filter((_, place) => place % count === index);
      const conversation = new Conversation(members, talkRatio * members.length, createRandom(seed + index * 0x9e3779b9));
      for (const { seat } of members) this.#conversations[seat] = conversation;
    }
  }

  /** The first turn of a seat that begins at `fromFrame` or later; null where that seat only listens. */
  next(seat: number, fromFrame: number): Turn | null {
    const conversation = this.#conversations[seat];
    if (conversation === undefined) throw new RangeError(`Expected a seat of the call, got ${seat}`);
    return conversation?.next(seat, fromFrame) ?? null;
  }
}

interface Member {
  readonly seat: number;
  readonly clips: readonly Clip[];
  /** Clips that are still to be said before any comes again. */
  deck: Clip[];
}

/** Callers who take turns. */
class Conversation {
  readonly #members: readonly Member[];
  readonly #ratio: number;
  readonly #random: Random;
  /** Turns so far, by seat, in order of time. */
  readonly #turns = new Map<number, Turn[]>();
  #last: Member | undefined;
  #freeFrame: number;

  constructor(members: readonly Omit<Member, 'deck'>[], ratio: number, random: Random) {
    this.#members = members.map((member) => ({ ...member, deck: [] }));
    this.#ratio = Math.min(1, ratio);
    this.#random = random;
    // Conversations are under way when one begins to listen to them, each at another point.
    this.#freeFrame = Math.floor(random() * meanClipFrames(members)) / this.#ratio;
  }

  next(seat: number, fromFrame: number): Turn {
    for (;;) {
      const found = this.#firstFrom(seat, fromFrame);
      if (found !== undefined) return found;
      this.#speak();
    }
  }

  #firstFrom(seat: number, fromFrame: number): Turn | undefined {
    const turns = this.#turns.get(seat) ?? [];
    let [low, high] = [0, turns.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((turns[middle]?.startFrame ?? 0) >= fromFrame) high = middle;
      else low = middle + 1;
    }
    return turns[low];
  }

  #speak(): void {
    const others = this.#members.length === 1 ? this.#members : this.#members.filter((member) => member !== this.#last);
    const speaker = pick(others, this.#random);
    if (speaker.deck.length === 0) speaker.deck = [...speaker.clips];
    const [clip] = speaker.deck.splice(Math.floor(this.#random() * speaker.deck.length), 1);
    if (clip === undefined) throw new RangeError('Expected a caller to have one clip or more, got none');
    const turn = { seat: speaker.seat, clip, startFrame: Math.ceil(this.#freeFrame) };
    const own = this.#turns.get(speaker.seat) ?? [];
    own.push(turn);
    this.#turns.set(speaker.seat, own);
    this.#last = speaker;
    // Half to one and a half times the mean pause that gives the ratio.
    this.#freeFrame = turn.startFrame + clip.frames.length * (1 + (1 / this.#ratio - 1) * (0.5 + this.#random()));
  }
}

function meanClipFrames(members: readonly Omit<Member, 'deck'>[]): number {
  const lengths = members.flatMap(({ clips }) => clips.map(({ frames }) => frames.length));
  return lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length);
}

function pick<T>(from: readonly T[], random: Random): T {
  const one = from[Math.floor(random() * from.length)];
  if (one === undefined) throw new RangeError('Expected someone to choose from, got nobody');
  return one;
}
