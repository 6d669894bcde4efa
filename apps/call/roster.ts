// Who is in the call, as signalling tells it, and whose each producer is. Knows no sockets and no media.
import type { Measurement, ParticipantView, SignalNotifications } from './signaling.ts';

/** Somebody in the call. */
export interface Person {
  readonly participantId: string;
  readonly displayName: string;
  readonly self: boolean;
  measured: boolean;
  reason: string;
  muted: boolean;
  audio: MediaStreamTrack | null;
  video: MediaStreamTrack | null;
}

/** The people of one call. */
export interface Roster {
  /** Oneself first, then in order of arrival. Empty before the first join. */
  people(): readonly Person[];
  readonly self: Person | null;
  /** Begins anew, with oneself and those who are there. */
  reset(self: Person | null, others: readonly ParticipantView[]): void;
  joined(view: ParticipantView): void;
  left(participantId: string): void;
  /** Notes whose a microphone is, so that its mute state can be told. */
  produced(producer: SignalNotifications['newProducer']): void;
  paused(producerId: string, paused: boolean): void;
  /** Gives somebody's track; false if that person is gone. */
  received(participantId: string, producerId: string, track: MediaStreamTrack): boolean;
  closed(producerId: string): void;
  measured(participantId: string, measurement: Measurement): void;
}

/** Makes an empty roster. */
export function createRoster(): Roster {
  const others = new Map<string, Person>();
  // Whose track a producer's is.
  const sources = new Map<string, { readonly person: Person; readonly kind: 'audio' | 'video' }>();
  // Whose microphone a producer is.
  const microphones = new Map<string, string>();
  let self: Person | null = null;

  const add = (view: ParticipantView): void => {
    if (view.participantId === self?.participantId) return;
    const { participantId, displayName, measured, reason, producers } = view;
    const microphone = producers.find(({ source }) => source === 'microphone');
    if (microphone !== undefined) microphones.set(microphone.producerId, participantId);
    const muted = microphone?.paused ?? true;
    others.set(participantId, { participantId, displayName, self: false, measured, reason, muted, audio: null, video: null });
  };
  const pause = (producerId: string, paused: boolean): void => {
    const person = others.get(microphones.get(producerId) ?? '');
    if (person !== undefined) person.muted = paused;
  };

  return {
    people: () => (self === null ? [] : [self, ...others.values()]),
    get self() {
      return self;
    },
    reset(next, views) {
      self = next;
      others.clear();
      sources.clear();
      microphones.clear();
      for (const view of views) add(view);
    },
    joined: add,
    left(participantId) {
      others.delete(participantId);
    },
    produced({ participantId, producerId, source, paused }) {
      if (source !== 'microphone' || participantId === self?.participantId) return;
      microphones.set(producerId, participantId);
      pause(producerId, paused);
    },
    paused: pause,
    received(participantId, producerId, track) {
      const person = others.get(participantId);
      if (person === undefined) return false;
      const kind = track.kind === 'video' ? 'video' : 'audio';
      person[kind] = track;
      sources.set(producerId, { person, kind });
      return true;
    },
    closed(producerId) {
      const source = sources.get(producerId);
      if (source !== undefined) source.person[source.kind] = null;
      pause(producerId, true);
      sources.delete(producerId);
      microphones.delete(producerId);
    },
    measured(participantId, { measured, reason }) {
      const person = participantId === self?.participantId ? self : others.get(participantId);
      if (person !== undefined) Object.assign(person, { measured, reason });
    },
  };
}
