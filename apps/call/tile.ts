// One person's tile: video or initials, name, mute state, speaking ring, overlay.
import type { UndertoneClient } from '@undertone/client';
import type { UndertoneOverlay } from '@undertone/client/overlay';
import { h, icon, setText } from '../shared/dom.ts';
import type { Levels } from './levels.ts';
import type { Person } from './roster.ts';

/** What a tile needs from the page. */
export interface TileContext {
  readonly callId: string;
  readonly levels: Levels;
  /** The browser refused to play sound before a click. */
  readonly soundBlocked: () => void;
}

/** A tile. */
export interface Tile {
  readonly element: HTMLElement;
  update(person: Person, client: UndertoneClient | null): void;
  /** Tries again to play sound, in answer to a click. */
  play(): void;
  remove(): void;
}

/** Makes the tile of a person. */
export function createTile(person: Person, context: TileContext): Tile {
  const video = h('video', { playsinline: true, muted: true, autoplay: true, 'aria-hidden': 'true' });
  video.muted = true;
  const audio = h('audio', { autoplay: true });
  const avatar = h('div', { class: 'avatar', 'aria-hidden': 'true' }, initialsOf(person.displayName));
  avatar.style.setProperty('--hue', String(hueOf(person.displayName)));
  const name = h('span', { class: 'name' }, person.displayName);
  const you = person.self ? h('span', { class: 'you' }, 'You') : null;
  const muteMark = h('span', { class: 'mute' }, icon('mic-off'), h('span', { class: 'visually-hidden' }, 'Microphone off'));
  const speakingWord = h('span', { class: 'visually-hidden' });
  // Only one's own changes are read out; those of others are there to be read.
  const overlay: UndertoneOverlay = h('undertone-overlay', { 'call-id': context.callId, announce: person.self ? null : 'off' });
  const element = h(
    'li',
    { class: person.self ? 'tile self' : 'tile' },
    h('div', { class: 'stage' }, avatar, video, h('div', { class: 'label' }, name, you, muteMark, speakingWord)),
    overlay,
    person.self ? null : audio,
  );

  let shownAudio: MediaStreamTrack | null = null;
  let shownVideo: MediaStreamTrack | null = null;
  let stopLevel: (() => void) | null = null;
  let muted = person.muted;

  const setSpeaking = (speaking: boolean): void => {
    const shown = speaking && !muted;
    element.classList.toggle('speaking', shown);
    setText(speakingWord, shown ? 'Speaking' : '');
  };
  const play = (): void => {
    if (person.self || shownAudio === null) return;
    audio.play().catch((error: unknown) => {
      if (error instanceof Error && error.name === 'NotAllowedError') context.soundBlocked();
    });
  };

  return {
    element,
    play,
    update(next, client) {
      muted = next.muted || next.audio === null;
      muteMark.hidden = !muted;
      if (muted) setSpeaking(false);
      if (next.audio !== shownAudio) {
        shownAudio = next.audio;
        stopLevel?.();
        stopLevel = shownAudio === null ? null : context.levels.watch(shownAudio, setSpeaking);
        setSpeaking(false);
        audio.srcObject = shownAudio === null ? null : new MediaStream([shownAudio]);
        play();
      }
      if (next.video !== shownVideo) {
        shownVideo = next.video;
        video.srcObject = shownVideo === null ? null : new MediaStream([shownVideo]);
        element.classList.toggle('with-video', shownVideo !== null);
      }
      overlay.participantId = next.participantId;
      overlay.client = client;
      if (client === null) overlay.state = { kind: 'connecting' };
    },
    remove() {
      stopLevel?.();
      audio.srcObject = null;
      video.srcObject = null;
      overlay.client = null;
      element.remove();
    },
  };
}

/** First letters of the first and the last word. */
function initialsOf(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words[words.length - 1] : undefined].map((word) => Array.from(word ?? '')[0] ?? '');
  return letters.join('').toUpperCase();
}

function hueOf(text: string): number {
  // FNV-1a, then a step by the golden angle: names that are alike get hues that are not.
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return Math.round((hash % 360) * 137.508) % 360;
}
