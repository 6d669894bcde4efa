// The web component `<undertone-overlay>`: one participant's emotion, or why there is none.
import type { UndertoneClient } from './client.ts';
import { watchCall } from './call-watch.ts';
import type { OverlayState } from './overlay-state.ts';
import { createOverlayView, type OverlayView } from './overlay-view.ts';

export { watchCall, type CallWatch } from './call-watch.ts';
export {
  callStateOf,
  displayOf,
  emptyCallState,
  reduceCall,
  uncertainLabel,
  type CallState,
  type OverlayState,
  type ParticipantState,
  type Verdict,
} from './overlay-state.ts';
export { labelText, overlayText, percentText, reasonText, type OverlayText } from './overlay-text.ts';
export { emotionColor, emotionSign, stateSigns } from './palette.ts';

// On a server there is no DOM; importing this module there must not fail.
const Base: typeof HTMLElement =
  (globalThis as { HTMLElement?: typeof HTMLElement }).HTMLElement ?? (Object as unknown as typeof HTMLElement);

/**
 * Shows one participant's emotion, live. Give it a `client`, `call-id` and `participant-id`, or set `state` by hand.
 *
 * Attributes: `call-id`, `participant-id`, `theme` (`light` or `dark`, else the system's), `announce` (`off` keeps
 * changes from being read out; the text stays readable). Looks: `--undertone-surface`, `-ink`, `-muted`, `-track`,
 * `-line`, `-live`, `-font`, `-radius`, and `--undertone-color-<label>`.
 */
export class UndertoneOverlay extends Base {
  static readonly observedAttributes: readonly string[] = ['call-id', 'participant-id', 'theme', 'announce'];

  #client: UndertoneClient | null = null;
  #state: OverlayState | null = null;
  #view: OverlayView | null = null;
  #stop: (() => void) | null = null;

  /** The client that feeds it. */
  get client(): UndertoneClient | null {
    return this.#client;
  }
  set client(client: UndertoneClient | null) {
    if (client === this.#client) return;
    this.#client = client;
    this.#watch();
  }

  /** The call, as the attribute `call-id`. */
  get callId(): string {
    return this.getAttribute('call-id') ?? '';
  }
  set callId(callId: string) {
    this.setAttribute('call-id', callId);
  }

  /** The participant, as the attribute `participant-id`. */
  get participantId(): string {
    return this.getAttribute('participant-id') ?? '';
  }
  set participantId(participantId: string) {
    this.setAttribute('participant-id', participantId);
  }

  /** What is shown; setting it shows that until a client says otherwise. */
  get state(): OverlayState {
    return this.#state ?? { kind: 'connecting' };
  }
  set state(state: OverlayState) {
    this.#state = state;
    this.#view?.render(state);
  }

  connectedCallback(): void {
    this.#view ??= createOverlayView(this.shadowRoot ?? this.attachShadow({ mode: 'open' }), this);
    this.#view.connect();
    this.#view.render(this.state);
    this.#watch();
  }

  disconnectedCallback(): void {
    this.#stop?.();
    this.#stop = null;
    this.#view?.disconnect();
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after) return;
    if (name === 'theme' || name === 'announce') this.#view?.render(this.state);
    else this.#watch();
  }

  #watch(): void {
    this.#stop?.();
    this.#stop = null;
    const { callId, participantId } = this;
    if (this.#client === null || callId === '' || participantId === '' || !this.isConnected) return;
    const watch = watchCall(this.#client, callId);
    const show = (): void => {
      this.state = watch.display(participantId);
    };
    const off = watch.on(show);
    this.#stop = () => {
      off();
      watch.release();
    };
    show();
  }
}

/** Registers the element under a name. Importing this module does so under `undertone-overlay`. */
export function defineOverlay(name = 'undertone-overlay'): void {
  const registry = (globalThis as { customElements?: CustomElementRegistry }).customElements;
  if (registry === undefined || registry.get(name) !== undefined) return;
  // A class may be registered once; a further name needs a class of its own.
  registry.define(name, registry.get('undertone-overlay') === undefined ? UndertoneOverlay : class extends UndertoneOverlay {});
}

defineOverlay();

declare global {
  interface HTMLElementTagNameMap {
    'undertone-overlay': UndertoneOverlay;
  }
}
