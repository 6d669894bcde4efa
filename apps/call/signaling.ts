// The signalling socket: requests with ids and time limits, notifications, and one word when it closes.
import type { types } from 'mediasoup-client';

/** A producer, as others see it. */
export interface ProducerView {
  readonly producerId: string;
  readonly kind: types.MediaKind;
  readonly source: 'microphone' | 'camera';
  readonly paused: boolean;
}

/** A participant, as others see it. */
export interface ParticipantView {
  readonly participantId: string;
  readonly displayName: string;
  readonly role: string;
  readonly measured: boolean;
  readonly reason: string;
  readonly producers: readonly ProducerView[];
}

/** Whether one is measured, and the policy's word for why. */
export interface Measurement {
  readonly measured: boolean;
  readonly reason: string;
}

interface TransportView {
  readonly transportId: string;
  readonly iceParameters: types.IceParameters;
  readonly iceCandidates: types.IceCandidate[];
  readonly dtlsParameters: types.DtlsParameters;
}

/** What each method takes and gives. */
export interface SignalMethods {
  join: {
    data: { token: string; callId: string; displayName: string; consent: 'granted' | 'denied'; role?: string };
    answer: Measurement & { participantId: string; routerRtpCapabilities: types.RtpCapabilities; participants: ParticipantView[] };
  };
  createTransport: { data: { direction: 'send' | 'recv' }; answer: TransportView };
  connectTransport: { data: { transportId: string; dtlsParameters: types.DtlsParameters }; answer: object };
  restartIce: { data: { transportId: string }; answer: { iceParameters: types.IceParameters } };
  produce: {
    data: { transportId: string; kind: types.MediaKind; rtpParameters: types.RtpParameters; source: ProducerView['source'] };
    answer: { producerId: string };
  };
  closeProducer: { data: { producerId: string }; answer: object };
  pauseProducer: { data: { producerId: string }; answer: object };
  resumeProducer: { data: { producerId: string }; answer: object };
  consume: {
    data: { transportId: string; producerId: string; rtpCapabilities: types.RtpCapabilities };
    answer: {
      consumerId: string;
      producerId: string;
      participantId: string;
      kind: types.MediaKind;
      rtpParameters: types.RtpParameters;
      producerPaused: boolean;
    };
  };
  resumeConsumer: { data: { consumerId: string }; answer: object };
  setConsent: { data: { consent: 'granted' | 'withdrawn' }; answer: Measurement };
  leave: { data: object; answer: object };
}

/** What the server tells unasked. */
export interface SignalNotifications {
  participantJoined: ParticipantView;
  participantLeft: { readonly participantId: string };
  newProducer: ProducerView & { readonly participantId: string };
  producerClosed: { readonly producerId: string };
  producerPaused: { readonly producerId: string };
  producerResumed: { readonly producerId: string };
  consumerClosed: { readonly consumerId: string };
  measurement: Measurement & { readonly participantId: string };
  callEnded: { readonly reason: string };
}

/** One notification. */
export type SignalNotification = {
  [E in keyof SignalNotifications]: { readonly event: E; readonly data: SignalNotifications[E] };
}[keyof SignalNotifications];

/** A request that failed: refused with the server's code, or `timeout`, or `closed`. */
export class SignalError extends Error {
  override readonly name = 'SignalError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** An open signalling socket. */
export interface Signaling {
  request<M extends keyof SignalMethods>(method: M, data: SignalMethods[M]['data']): Promise<SignalMethods[M]['answer']>;
  /** Closes it; `closed` is not called for that. */
  close(): void;
}

/** Whom a socket tells. */
export interface SignalHandlers {
  notification(notification: SignalNotification): void;
  /** The socket closed, not by {@link Signaling.close}. */
  closed(): void;
}

const subprotocol = 'undertone.signal.v1';
const requestTimeoutMs = 10_000;
const openTimeoutMs = 10_000;

interface Pending {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: SignalError) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** Opens a signalling socket. Rejects with {@link SignalError} if it does not open in time. */
export function openSignaling(url: string, handlers: SignalHandlers): Promise<Signaling> {
  const socket = new WebSocket(url, subprotocol);
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let closedByUs = false;

  const failAll = (): void => {
    for (const { reject, timer } of pending.values()) {
      clearTimeout(timer);
      reject(new SignalError('closed', 'The connection was lost.'));
    }
    pending.clear();
  };

  const answer = (id: number, settle: (waiting: Pending) => void): void => {
    const waiting = pending.get(id);
    if (waiting === undefined) return;
    pending.delete(id);
    clearTimeout(waiting.timer);
    settle(waiting);
  };

  const signaling: Signaling = {
    request(method, data) {
      return new Promise((resolve, reject) => {
        if (socket.readyState !== WebSocket.OPEN) {
          reject(new SignalError('closed', 'The connection was lost.'));
          return;
        }
        const id = nextId++;
        const timer = setTimeout(() => {
          answer(id, (waiting) => {
            waiting.reject(new SignalError('timeout', 'The server did not answer in time.'));
          });
        }, requestTimeoutMs);
        pending.set(id, { resolve, reject, timer });
        socket.send(JSON.stringify({ id, method, data }));
      });
    },
    close() {
      closedByUs = true;
      socket.close(1000);
      failAll();
    },
  };

  return new Promise((resolve, reject) => {
    let opened = false;
    const openTimer = setTimeout(() => {
      socket.close();
      reject(new SignalError('timeout', 'The server did not answer in time.'));
    }, openTimeoutMs);
    socket.addEventListener('open', () => {
      opened = true;
      clearTimeout(openTimer);
      resolve(signaling);
    });
    socket.addEventListener('message', (event: MessageEvent<unknown>) => {
      const message = read(event.data);
      if (message === null || closedByUs) return;
      if ('event' in message) {
        handlers.notification(message);
        return;
      }
      answer(message.id, (waiting) => {
        if (message.ok) waiting.resolve(message.data as never);
        else waiting.reject(new SignalError(message.error.code, message.error.message));
      });
    });
    socket.addEventListener('close', () => {
      clearTimeout(openTimer);
      failAll();
      if (!opened) reject(new SignalError('closed', 'The server cannot be reached.'));
      else if (!closedByUs) handlers.closed();
    });
  });
}

type Incoming =
  | SignalNotification
  | { readonly id: number; readonly ok: true; readonly data: object }
  | { readonly id: number; readonly ok: false; readonly error: { readonly code: string; readonly message: string } };

/** Reads a frame; null for what is not one of ours, which a later server may send. */
function read(data: unknown): Incoming | null {
  if (typeof data !== 'string') return null;
  try {
    const message: unknown = JSON.parse(data);
    return typeof message === 'object' && message !== null && ('event' in message || 'ok' in message) ? (message as Incoming) : null;
  } catch {
    return null;
  }
}
