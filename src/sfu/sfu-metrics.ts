// Keeps the SFU's gauges and counters true to its events.
import type { Observable, Subscription } from 'rxjs';
import type { Metrics } from '../metrics.ts';
import type { SfuEvent } from './events.ts';

/** Updates calls, participants, taps and worker deaths with each event. */
export function countEvents(events$: Observable<SfuEvent>, metrics: Metrics): Subscription {
  return events$.subscribe((event) => {
    switch (event.type) {
      case 'callOpened':
        metrics.calls.inc();
        break;
      case 'callClosed':
        metrics.calls.dec();
        break;
      case 'participantJoined':
        metrics.participants.inc();
        break;
      case 'participantLeft':
        metrics.participants.dec();
        break;
      case 'tapOpened':
        metrics.taps.inc();
        break;
      case 'tapClosed':
        metrics.taps.dec();
        break;
      case 'workerDied':
        metrics.workerDeaths.inc();
        break;
      case 'decision':
      case 'tapFailed':
        break;
    }
  });
}
