// The words of the overlay: labels, states and reasons as a person reads them.
import { uncertainLabel, type OverlayState } from './overlay-state.ts';

/** What an overlay says. */
export interface OverlayText {
  /** One or two words. */
  readonly title: string;
  /** A few words more, or empty. */
  readonly detail: string;
  /** The whole, for a screen reader. */
  readonly spoken: string;
}

const reasons: Readonly<Record<string, string>> = {
  'no-consent': 'No consent given',
  'consent-denied': 'Declined',
  'consent-withdrawn': 'Measuring was stopped',
  'role-denied': 'Not for this role',
  'purpose-denied': 'Not for calls of this kind',
  'prohibited-eu': 'Not allowed by EU law here',
  'unknown-profile': 'The server has no valid policy',
  'policy-failed': 'The server could not decide',
  'no-audio': 'No microphone',
  left: 'Left the call',
  'call-ended': 'The call is over',
};

/** A label as a word to be read: `very_happy` becomes `Very happy`. */
export function labelText(label: string): string {
  const words = label.replace(/[-_]+/g, ' ').trim();
  return words === '' ? 'Unknown' : words.charAt(0).toUpperCase() + words.slice(1);
}

/** A policy's reason as a phrase to be read. */
export function reasonText(reason: string): string {
  return Object.entries(reasons).find(([key]) => key === reason)?.[1] ?? labelText(reason);
}

/** A ratio as whole percent. */
export function percentText(ratio: number): string {
  return `${String(Math.round(Math.min(1, Math.max(0, ratio)) * 100))}%`;
}

/** What to say of a state. */
export function overlayText(state: OverlayState): OverlayText {
  switch (state.kind) {
    case 'connecting':
      return { title: 'Connecting', detail: '', spoken: 'Emotion: connecting' };
    case 'not-measured': {
      const detail = reasonText(state.reason);
      return { title: 'Not measured', detail, spoken: `Emotion not measured: ${detail}` };
    }
    case 'listening':
      return { title: 'Listening', detail: '', spoken: 'Emotion measured: listening' };
    case 'silence': {
      const last = state.last === null ? '' : `Last ${labelText(state.last.label).toLowerCase()}`;
      return { title: 'Silence', detail: last, spoken: `Emotion measured: silence${last === '' ? '' : `, ${last.toLowerCase()}`}` };
    }
    case 'emotion': {
      const title = labelText(state.label);
      const likeliest = state.label === uncertainLabel ? leading(state.probabilities) : null;
      const detail =
        state.unreliable === true ? 'Bad connection' : likeliest === null ? '' : `Perhaps ${labelText(likeliest).toLowerCase()}`;
      const sure = `${percentText(state.confidence)} confidence`;
      return { title, detail, spoken: `Emotion ${title.toLowerCase()}${detail === '' ? '' : `, ${detail.toLowerCase()}`}, ${sure}` };
    }
  }
}

function leading(probabilities: Readonly<Record<string, number>> | null): string | null {
  if (probabilities === null) return null;
  let best: string | null = null;
  for (const [label, value] of Object.entries(probabilities)) {
    if (best === null || value > (probabilities[best] ?? 0)) best = label;
  }
  return best;
}
