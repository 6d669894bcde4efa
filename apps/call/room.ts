// The room: tiles, controls and notices, brought in line with the session after each change.
import { reasonText } from '@undertone/client/overlay';
import { byId, h, icon, setText } from '../shared/dom.ts';
import { capture } from './devices.ts';
import { createLevels } from './levels.ts';
import type { Session } from './session.ts';
import { createTile, type Tile } from './tile.ts';

/** The room of one stay. */
export interface Room {
  /** Brings the page in line with the session. */
  update(session: Session): void;
  close(): void;
}

/** Opens the room. `problem` is what the lobby has to tell, such as a microphone that was refused. */
export function openRoom(callId: string, link: string, problem: string): Room {
  const section = byId('room', HTMLElement);
  const controls = byId('controls', HTMLElement);
  const tileList = byId('tiles', HTMLElement);
  const notices = byId('notices', HTMLElement);
  const alone = byId('alone', HTMLElement);
  const announcer = byId('announcer', HTMLElement);
  const linkState = byId('link-state', HTMLElement);
  const levels = createLevels();
  const tiles = new Map<string, Tile>();
  const listeners = new AbortController();
  let session: Session | null = null;
  let deviceProblem = problem;
  let soundBlocked = false;
  let copied = false;
  let names: ReadonlyMap<string, string> = new Map();

  const context = {
    callId,
    levels,
    soundBlocked: () => {
      soundBlocked = true;
      render();
    },
  };

  const click = (id: string, handle: (session: Session) => void): void => {
    byId(id, HTMLButtonElement).addEventListener(
      'click',
      () => {
        if (session !== null) handle(session);
      },
      { signal: listeners.signal },
    );
  };

  const acquire = async (source: 'microphone' | 'camera', current: Session): Promise<void> => {
    const captured = await capture(source);
    deviceProblem = captured.problem ?? '';
    if (captured.track !== null) {
      captured.track.addEventListener('ended', () => {
        deviceProblem = `Your ${source} was disconnected.`;
        void current.setTrack(source, null);
      });
      if (source === 'microphone') current.setMuted(false);
      await current.setTrack(source, captured.track);
    }
    render();
  };

  click('control-microphone', (current) => {
    const self = current.people[0];
    if (self === undefined || self.audio === null) void acquire('microphone', current);
    else current.setMuted(!self.muted);
  });
  click('control-camera', (current) => {
    const track = current.people[0]?.video ?? null;
    if (track === null) {
      void acquire('camera', current);
      return;
    }
    track.stop();
    void current.setTrack('camera', null);
  });
  click('control-consent', (current) => {
    current.setConsent(!current.consent).catch(() => undefined);
  });
  click('control-leave', (current) => {
    current.leave();
  });
  click('control-link', () => {
    navigator.clipboard.writeText(link).then(
      () => {
        copied = true;
        setText(announcer, 'Link copied');
        render();
        setTimeout(() => {
          copied = false;
          render();
        }, 2000);
      },
      () => {
        prompt('Copy this link', link);
      },
    );
  });

  const render = (): void => {
    if (session === null || listeners.signal.aborted) return;
    const inside = session.phase === 'joined' || session.phase === 'reconnecting' || session.phase === 'joining';
    section.hidden = controls.hidden = !inside;
    renderTiles(session);
    renderControls(session);
    renderNotices(session);
    renderLink(session);
  };

  const renderTiles = (current: Session): void => {
    const { people } = current;
    // While the connection is being mended the last picture stays, greyed out.
    tileList.classList.toggle('stale', current.phase !== 'joined');
    if (people.length === 0) return;
    const present = new Set(people.map(({ participantId }) => participantId));
    for (const [id, tile] of tiles) {
      if (present.has(id)) continue;
      tile.remove();
      tiles.delete(id);
    }
    for (const person of people) {
      let tile = tiles.get(person.participantId);
      if (tile === undefined) {
        tile = createTile(person, context);
        tiles.set(person.participantId, tile);
      }
      tile.update(person, current.client);
    }
    const elements = people.map(({ participantId }) => tiles.get(participantId)?.element);
    elements.forEach((element, index) => {
      if (element !== undefined && tileList.children[index] !== element) tileList.insertBefore(element, tileList.children[index] ?? null);
    });
    tileList.dataset['count'] = people.length > 9 ? 'many' : String(people.length);
    alone.hidden = people.length > 1 || current.phase !== 'joined';
    announce(new Map(people.filter(({ self }) => !self).map((person) => [person.participantId, person.displayName])), current);
  };

  /** Reads out who came and who went. */
  const announce = (next: ReadonlyMap<string, string>, current: Session): void => {
    if (current.phase !== 'joined') return;
    const came = [...next].filter(([id]) => !names.has(id)).map(([, name]) => `${name} joined`);
    const went = [...names].filter(([id]) => !next.has(id)).map(([, name]) => `${name} left`);
    names = next;
    if (came.length + went.length > 0) setText(announcer, [...came, ...went].join(', '));
  };

  const renderControls = (current: Session): void => {
    const self = current.people[0];
    const live = current.phase === 'joined';
    const hasMicrophone = (self?.audio ?? null) !== null;
    const muted = self?.muted === true || !hasMicrophone;
    const hasCamera = (self?.video ?? null) !== null;
    control('control-microphone', muted ? 'mic-off' : 'mic', muted ? 'Unmute' : 'Mute', { off: muted, disabled: !live });
    control('control-camera', hasCamera ? 'camera' : 'camera-off', hasCamera ? 'Stop camera' : 'Camera', {
      off: !hasCamera,
      disabled: !live,
    });
    const pending = current.consentPending;
    const label = pending ? (current.consent ? 'Allowing…' : 'Stopping…') : current.consent ? 'Stop measuring' : 'Measure me';
    control('control-consent', current.consent ? 'pulse' : 'pulse-off', label, { off: !current.consent, disabled: pending });
    control('control-link', copied ? 'check' : 'link', copied ? 'Copied' : 'Copy link', {});
    control('control-leave', 'leave', 'Leave', {});
  };

  const renderNotices = (current: Session): void => {
    const wanted: [key: string, text: string, action?: [string, () => void]][] = [];
    const self = current.people[0];
    if (soundBlocked) {
      wanted.push(['sound', 'Your browser keeps the sound off until you allow it.', ['Turn sound on', playAll]]);
    }
    if (deviceProblem !== '') {
      const listening = (self?.audio ?? null) === null && current.phase === 'joined' ? ' You can listen, and others cannot hear you.' : '';
      wanted.push(['device', `${deviceProblem}${listening}`]);
    }
    if (current.phase === 'joined' && current.message !== '') wanted.push(['session', current.message]);
    if (current.phase === 'joined' && current.consent && !current.consentPending && self?.measured === false) {
      wanted.push(['policy', `You agreed to be measured, but this call does not allow it: ${reasonText(self.reason).toLowerCase()}.`]);
    }
    const key = wanted.map(([id, text]) => `${id}:${text}`).join('|');
    if (notices.dataset['shown'] === key) return;
    notices.dataset['shown'] = key;
    notices.replaceChildren(
      ...wanted.map(([, text, action]) =>
        h(
          'p',
          { class: 'notice' },
          h('span', {}, text),
          action === undefined ? null : h('button', { class: 'button', type: 'button', onclick: action[1] }, action[0]),
        ),
      ),
    );
  };

  const playAll = (): void => {
    soundBlocked = false;
    for (const tile of tiles.values()) tile.play();
    render();
  };

  const renderLink = (current: Session): void => {
    linkState.hidden = false;
    const interrupted = current.message === '' ? 'Reconnecting…' : `${current.message} Reconnecting…`;
    if (current.phase === 'joined') chip('good', current.stalled ? 'Media is stalled, mending…' : 'Connected');
    else {
      chip('busy', current.phase === 'joining' ? (current.message === '' ? 'Joining…' : `${current.message} Trying again…`) : interrupted);
    }
    if (current.phase === 'joined' && current.stalled) linkState.dataset['state'] = 'busy';
  };
  const chip = (state: string, text: string): void => {
    linkState.dataset['state'] = state;
    setText(linkState, text);
  };

  return {
    update(next) {
      session = next;
      render();
    },
    close() {
      listeners.abort();
      for (const tile of tiles.values()) tile.remove();
      tiles.clear();
      levels.close();
      notices.replaceChildren();
      delete notices.dataset['shown'];
      section.hidden = controls.hidden = linkState.hidden = true;
    },
  };
}

interface ControlState {
  readonly off?: boolean;
  readonly disabled?: boolean;
}

function control(id: string, name: Parameters<typeof icon>[0], label: string, { off = false, disabled = false }: ControlState): void {
  const button = byId(id, HTMLButtonElement);
  button.disabled = disabled;
  button.classList.toggle('off', off);
  const key = `${name}|${label}`;
  if (button.dataset['shown'] === key) return;
  button.dataset['shown'] = key;
  button.replaceChildren(icon(name), h('span', {}, label));
}
