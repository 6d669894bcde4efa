// One live call on the board: its head, and a row for each participant.
import { displayOf, labelText, type ParticipantState } from '@undertone/client/overlay';
import { h, icon, setText } from '../shared/dom.ts';
import type { BoardCall } from './board.ts';
import { emptyHistory } from './history.ts';
import { createStrip } from './strip.ts';

/** A card. */
export interface CallCard {
  readonly element: HTMLElement;
  /** Brings it in line with what is known; `connected` is whether that is up to date. */
  update(call: BoardCall, connected: boolean): void;
}

interface Row {
  readonly element: HTMLElement;
  update(participant: ParticipantState, call: BoardCall, connected: boolean): void;
}

/** Makes the card of a call. */
export function createCallCard(callId: string): CallCard {
  const headingId = `call-${callId}`;
  const facts = h('p', { class: 'facts' });
  const rows = h('ul', { class: 'rows', 'aria-label': 'Participants' });
  const nobody = h('p', { class: 'muted nobody' }, 'Nobody is in this call at the moment.');
  const element = h(
    'article',
    { class: 'card call', 'aria-labelledby': headingId },
    h(
      'header',
      {},
      h('div', { class: 'call-title' }, h('h3', { id: headingId }, callId), facts),
      h(
        'a',
        { class: 'button small', href: `/call/?call=${encodeURIComponent(callId)}` },
        icon('open'),
        'Open',
        h('span', { class: 'visually-hidden' }, ` call ${callId}`),
      ),
    ),
    rows,
    nobody,
    h('div', { class: 'axis', 'aria-hidden': 'true' }, h('span', {}, '2 min ago'), h('span', {}, '1 min'), h('span', {}, 'now')),
  );
  const byId = new Map<string, Row>();
  // Numbers by order of arrival within a role: the timeline knows no names.
  const titles = new Map<string, string>();

  return {
    element,
    update(call, connected) {
      const present = [...call.state.participants.values()].filter((participant) => participant.present);
      for (const { participantId, role } of call.state.participants.values()) {
        if (titles.has(participantId)) continue;
        const word = labelText(role === '' ? 'participant' : role);
        const before = [...titles.values()].filter((title) => title.startsWith(`${word} `)).length;
        titles.set(participantId, `${word} ${String(before + 1)}`);
      }
      const ids = new Set(present.map(({ participantId }) => participantId));
      for (const [id, row] of byId) {
        if (ids.has(id)) continue;
        row.element.remove();
        byId.delete(id);
      }
      for (const participant of present) {
        let row = byId.get(participant.participantId);
        if (row === undefined) {
          row = createRow(participant.participantId, titles.get(participant.participantId) ?? '');
          byId.set(participant.participantId, row);
          rows.append(row.element);
        }
        row.update(participant, call, connected);
      }
      nobody.hidden = present.length > 0;
      const measured = present.filter((participant) => participant.measured).length;
      const { purpose, region } = call.summary;
      const place = kindText(purpose, region);
      setText(
        facts,
        [durationText(call.nowMs()), `${String(measured)} of ${String(present.length)} measured`, ...(place === '' ? [] : [place])].join(
          ' · ',
        ),
      );
    },
  };
}

function createRow(participantId: string, title: string): Row {
  const strip = createStrip(title);
  const speaking = h('span', { class: 'speaking-mark' });
  const overlay = h('undertone-overlay', { announce: 'off' });
  const element = h(
    'li',
    { class: 'row' },
    h(
      'div',
      { class: 'who' },
      h('p', { class: 'title' }, title),
      h('p', { class: 'second' }, h('span', { class: 'mono id', title: participantId }, shortId(participantId)), speaking),
    ),
    overlay,
    strip.element,
  );
  return {
    element,
    update(participant, call, connected) {
      overlay.state = connected ? displayOf(call.state, participantId) : { kind: 'connecting' };
      const heard = connected && participant.speaking;
      element.classList.toggle('speaking', heard);
      setText(speaking, heard ? 'Speaking' : '');
      strip.draw(call.histories.get(participantId) ?? emptyHistory, call.nowMs());
    },
  };
}

/** Enough of an id to tell two apart. */
function shortId(id: string): string {
  return id.length <= 12 ? id : `${id.slice(0, 8)}…`;
}

/** What kind of call it is: `Personal · EU`. */
export function kindText(purpose: string, region: string): string {
  const place = region.length <= 3 ? region.toUpperCase() : labelText(region);
  return [purpose === '' ? '' : labelText(purpose), place].filter((word) => word !== '').join(' · ');
}

/** A length of time, in the largest two units. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${String(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${String(minutes)} min ${String(seconds % 60)} s`;
  return `${String(Math.floor(minutes / 60))} h ${String(minutes % 60)} min`;
}
