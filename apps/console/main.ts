// The console page: draws the board, at most once a frame and at least once a second.
import type { CallSummary } from '@undertone/client';
import { emotionColor, emotionSign, labelText, uncertainLabel } from '@undertone/client/overlay';
import { createTokenSource } from '../shared/access.ts';
import { byId, drawing, h, setText } from '../shared/dom.ts';
import { openBoard } from './board.ts';
import { createCallCard, kindText, type CallCard } from './call-card.ts';

const cards = new Map<string, CallCard>();
const calls = byId('calls', HTMLElement);
const empty = byId('empty', HTMLElement);
const endedSection = byId('ended-section', HTMLElement);
const endedList = byId('ended', HTMLElement);
const problem = byId('problem', HTMLElement);
const state = byId('link-state', HTMLElement);
const legend = byId('legend', HTMLElement);
const count = byId('count', HTMLElement);

/** Ended calls that are listed. */
const maxEnded = 20;
/** Between two drawings while nothing happens, for the strips move on. */
const redrawMs = 1000;

let drawRequested = false;
const requestDraw = (): void => {
  if (drawRequested) return;
  drawRequested = true;
  requestAnimationFrame(() => {
    drawRequested = false;
    draw();
  });
};

const board = openBoard(createTokenSource({ call: '*', scope: 'list read' }), requestDraw);
setInterval(requestDraw, redrawMs);
addEventListener('pagehide', (event) => {
  if (!event.persisted) board.close();
});

function draw(): void {
  const connected = board.link === 'open' && board.problem === '';
  const { live } = board;
  const ids = new Set(live.map(({ summary }) => summary.callId));
  for (const [id, card] of cards) {
    if (ids.has(id)) continue;
    card.element.remove();
    cards.delete(id);
  }
  live.forEach((call, index) => {
    const { callId } = call.summary;
    let card = cards.get(callId);
    if (card === undefined) {
      card = createCallCard(callId);
      cards.set(callId, card);
    }
    if (calls.children[index] !== card.element) calls.insertBefore(card.element, calls.children[index] ?? null);
    card.update(call, connected);
  });
  const people = live.flatMap((call) => [...call.state.participants.values()].filter(({ present }) => present)).length;
  setText(count, board.loaded ? `${plural(live.length, 'live call')}, ${plural(people, 'person', 'people')}` : '');
  empty.hidden = !board.loaded || live.length > 0;
  problem.hidden = board.problem === '';
  setText(problem, board.problem);
  drawState(connected);
  drawLegend();
  drawEnded(board.ended.slice(0, maxEnded));
}

function drawState(connected: boolean): void {
  const [kind, text] = connected
    ? ['good', 'Live']
    : board.stopped || board.link === 'closed'
      ? ['bad', 'Not connected']
      : ['busy', board.link === 'connecting' ? 'Connecting…' : 'Reconnecting…'];
  state.dataset['state'] = kind;
  setText(state, text);
}

let shownLabels = '';

/** The labels that occur, in alphabetical order, uncertain last. */
function drawLegend(): void {
  const found = new Set(board.live.flatMap((call) => [...call.histories.values()].flatMap(({ runs }) => runs.map(({ label }) => label))));
  for (const label of shownLabels.split(',')) if (label !== '') found.add(label);
  const labels = [...found].sort((a, b) => Number(a === uncertainLabel) - Number(b === uncertainLabel) || a.localeCompare(b));
  legend.parentElement?.toggleAttribute('hidden', labels.length === 0);
  if (labels.join() === shownLabels) return;
  shownLabels = labels.join();
  legend.replaceChildren(
    ...labels.map((label) => {
      const item = h('li', {}, drawing(emotionSign(label), 'icon'), labelText(label));
      item.style.setProperty('--on-light', emotionColor(label, 'light'));
      item.style.setProperty('--on-dark', emotionColor(label, 'dark'));
      return item;
    }),
  );
}

let shownEnded = '';

function drawEnded(ended: readonly CallSummary[]): void {
  const key = ended.map(({ callId, epoch }) => `${callId} ${epoch}`).join();
  endedSection.hidden = ended.length === 0;
  if (key === shownEnded) return;
  shownEnded = key;
  const time = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  endedList.replaceChildren(
    ...ended.map((call) =>
      h(
        'tr',
        {},
        h('th', { scope: 'row' }, call.callId),
        h('td', {}, time.format(call.startedAtUnixMs)),
        h('td', {}, rolesText(call)),
        h('td', {}, kindText(call.purpose, call.region)),
      ),
    ),
  );
}

function rolesText(call: CallSummary): string {
  const roles = new Map<string, number>();
  for (const { role } of call.participants) roles.set(role, (roles.get(role) ?? 0) + 1);
  const words = [...roles].map(([role, many]) => plural(many, role === '' ? 'participant' : labelText(role).toLowerCase()));
  return words.length === 0 ? 'Nobody' : words.join(', ');
}

function plural(many: number, one: string, more = `${one}s`): string {
  return `${String(many)} ${many === 1 ? one : more}`;
}
