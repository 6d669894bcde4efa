// The call page: which call, then lobby, room, and what comes after.
import { createTokenSource } from '../shared/access.ts';
import { byId, setText } from '../shared/dom.ts';
import { createLobby, type LobbyChoices } from './lobby.ts';
import { openRoom } from './room.ts';
import { joinCall, type Session } from './session.ts';

const callIdPattern = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;

const query = new URLSearchParams(location.search);
const callId = query.get('call') ?? newCall();
const role = query.get('role');
const token = createTokenSource({ call: callId, scope: 'join read' });
/** What is passed on to others: the call, and not this person's token. */
const link = `${location.origin}/call/?call=${encodeURIComponent(callId)}`;

let session: Session | null = null;

setText(byId('call-name', HTMLElement), callId);
document.title = `${callId} · Undertone`;

const lobby = createLobby((choices) => {
  enter(choices);
});

byId('rejoin', HTMLButtonElement).addEventListener('click', () => {
  byId('outside', HTMLElement).hidden = true;
  lobby.show();
});

// Without this the others would see a person who is gone until the socket's time runs out.
addEventListener('pagehide', () => session?.leave());

if (callIdPattern.test(callId)) {
  lobby.show();
} else {
  outside('This link is not right', 'The name of a call is letters, digits, dots, hyphens and underscores, at most 128 of them.', false);
}

function enter(choices: LobbyChoices): void {
  lobby.hide();
  document.body.classList.add('in-call');
  const room = openRoom(callId, link, choices.problem);
  const stay = joinCall({ ...choices, callId, role }, token, () => {
    // Queued, for the first call comes before `joinCall` has returned.
    queueMicrotask(() => {
      changed();
    });
  });
  let over = false;
  const changed = (): void => {
    if (over) return;
    room.update(stay);
    if (stay.phase !== 'left' && stay.phase !== 'ended' && stay.phase !== 'failed') return;
    over = true;
    room.close();
    for (const track of [choices.microphone, choices.camera]) track?.stop();
    document.body.classList.remove('in-call');
    const titles = { left: 'You left the call', ended: 'The call is over', failed: 'You could not join' };
    outside(titles[stay.phase], stay.phase === 'failed' ? stay.message : 'You are not heard, seen or measured any more.', true);
  };
  session = stay;
  changed();
}

function outside(title: string, text: string, canRejoin: boolean): void {
  setText(byId('outside-title', HTMLElement), title);
  setText(byId('outside-text', HTMLElement), text);
  const rejoin = byId('rejoin', HTMLButtonElement);
  rejoin.hidden = !canRejoin;
  byId('outside', HTMLElement).hidden = false;
  rejoin.focus({ preventScroll: true });
}

/** A name for a new call, written into the address so that a reload comes back to it. */
function newCall(): string {
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789';
  const random = crypto.getRandomValues(new Uint8Array(9));
  const id = Array.from(
    random,
    (value, index) => (index > 0 && index % 3 === 0 ? '-' : '') + (letters[value % letters.length] ?? 'a'),
  ).join('');
  const url = new URL(location.href);
  url.searchParams.set('call', id);
  history.replaceState(null, '', url);
  return id;
}
