// Joins the stages: what the SFU reports becomes pipelines, scored windows, and the events of a call's timeline.
import type { Subscription } from 'rxjs';
import { messageOf, UndertoneError } from './errors.ts';
import type { Logger } from './log.ts';
import type { MediaMeter } from './media-meter.ts';
import type { EmotionService } from './models/service.ts';
import type { EmotionOutput } from './models/types.ts';
import type { DecoderChoice } from './pipeline/codec.ts';
import type { AudioReceiverSettings } from './pipeline/audio-receiver.ts';
import { createMediaCounts, createMediaLevels } from './pipeline/media-counts.ts';
import { mainThreadPipelines, type CallerPipelines, type OpenedCaller } from './pipeline/pipelines.ts';
import { sampleRateHz, type CallerOutput } from './pipeline/types.ts';
import type { Overload } from './overload/overload.ts';
import type { Timeline } from './gateway/timeline.ts';
import type { CallSummary } from './gateway/types.ts';
import type { SfuEvent } from './sfu/events.ts';
import type { AudioTap, ClosedReason, ParticipantInfo, TrackInfo } from './sfu/types.ts';

/** How callers' audio is received. */
export interface AudioSettings extends DecoderChoice, AudioReceiverSettings {
  /** A verdict is unreliable where more of its speech was made up, 0 to 1. @default 0.25 */
  readonly unreliableAbove?: number | undefined;
}

/** What {@link Measurement} joins. */
export interface MeasurementOptions {
  readonly emotion: EmotionService;
  /** Opens the timeline of a call. */
  readonly openCall: (call: Pick<CallSummary, 'callId' | 'purpose' | 'region' | 'startedAtUnixMs'>) => Timeline;
  readonly meter: MediaMeter;
  readonly clock: { nowMs(): number };
  readonly logger: Logger;
  readonly audio?: AudioSettings | undefined;
  /** Where callers' audio is worked on; the owner closes it after this. @default in this thread */
  readonly pipelines?: CallerPipelines | undefined;
  /** Who decides what is left out when there is too much to do; the owner closes it. @default nobody, and nothing is */
  readonly overload?: Pick<Overload, 'join' | 'speech' | 'leave'> | undefined;
}

interface MeasuredCall {
  readonly timeline: Timeline;
  readonly openedAtUnixMs: number;
  /** By participant: their last tracks, which still await scores; what is written of the participant waits for it. */
  readonly leaving: Map<string, Promise<void>>;
}

interface MeasuredTrack {
  readonly call: MeasuredCall;
  readonly track: TrackInfo;
  readonly clock: OpenedCaller['clock'];
  subscription: Subscription | null;
  /** Resolves once all that was to be heard of it has been. */
  readonly heard: Promise<undefined>;
}

const samplesPerMs = sampleRateHz / 1000;

/** A quarter of the speech of a window made up moves its score by more than the next window does. */
const defaultUnreliableAbove = 0.25;

/**
 * Takes every event of the SFU and every output of the models. Wall time enters once for each track, when its first
 * packets place it on the call's clock; from then on the track's own media clock counts. A fault in one track ends
 * the measuring of that track alone.
 */
export class Measurement {
  readonly #options: MeasurementOptions;
  readonly #calls = new Map<string, MeasuredCall>();
  readonly #tracks = new Map<string, MeasuredTrack>();
  readonly #ending = new Set<Promise<void>>();
  readonly #outputs: Subscription;

  constructor(options: MeasurementOptions) {
    this.#options = options;
    this.#outputs = options.emotion.outputs$.subscribe((output) => {
      this.#write(output);
    });
  }

  /** Takes the SFU's next event. Never throws. */
  handle(event: SfuEvent): void {
    switch (event.type) {
      case 'callOpened': {
        const { call, openedAtUnixMs } = event;
        const timeline = this.#options.openCall({ ...call, startedAtUnixMs: openedAtUnixMs });
        this.#calls.set(call.callId, { timeline, openedAtUnixMs, leaving: new Map() });
        return;
      }
      case 'participantJoined':
        this.#inTurn(event.participant, (call, { participantId, role }) => {
          call.timeline.write({ type: 'participant', atMs: this.#atMs(call), participantId, action: 'joined', role });
        });
        return;
      case 'decision':
        this.#inTurn(event.participant, (call, { participantId, consent }) => {
          const { allow, reason } = event.decision;
          call.timeline.write({ type: 'consent', atMs: this.#atMs(call), participantId, consent, measured: allow, reason });
        });
        return;
      case 'participantLeft':
        this.#inTurn(event.participant, (call, { participantId, role }) => {
          call.timeline.write({ type: 'participant', atMs: this.#atMs(call), participantId, action: 'left', role });
        });
        return;
      case 'callClosed': {
        const call = this.#calls.get(event.call.callId);
        if (call === undefined) return;
        this.#calls.delete(event.call.callId);
        const atMs = this.#atMs(call);
        this.#untilDone(Promise.all(call.leaving.values()).then(() => call.timeline.end(event.reason, atMs)));
        return;
      }
      case 'tapOpened':
        this.#open(event.tap);
        return;
      case 'tapClosed':
        this.#close(event.track, event.reason);
        return;
      case 'tapFailed':
      case 'workerDied':
      // The SFU has logged and counted them; a call that ends because of them says so itself.
    }
  }

  /** Resolves once all that ended calls still had to say is written. Call it after the SFU has closed. */
  async close(): Promise<void> {
    while (this.#ending.size > 0) await Promise.all(this.#ending);
    this.#outputs.unsubscribe();
  }

  #open(tap: AudioTap): void {
    const { emotion, logger, meter, audio = {}, pipelines = mainThreadPipelines, overload } = this.#options;
    const { track } = tap;
    const call = this.#calls.get(track.callId);
    if (call === undefined) return;
    const [counts, levels] = [createMediaCounts(), createMediaLevels()];
    const heard = Promise.withResolvers<undefined>();
    const onClosed = (): void => {
      meter.remove(track.trackId);
    };
    const { participantId } = track;
    try {
      const pace = overload?.join(track.trackId, (fromUnixMs, toUnixMs) => {
        const [startMs, atMs] = [callMs(call, fromUnixMs), callMs(call, toUnixMs)];
        call.timeline.write({ type: 'gap', atMs, startMs, participantId, reason: 'waiting' });
      });
      const { pipeline, clock } = pipelines.open({ ...audio, track, spec: emotion.frontEnd, counts, levels, pace, onClosed });
      const measured: MeasuredTrack = { call, track, clock, subscription: null, heard: heard.promise };
      emotion.openTrack(track);
      this.#tracks.set(track.trackId, measured);
      meter.add(track.trackId, counts, levels);
      measured.subscription = tap.rtp$.pipe(pipeline).subscribe({
        next: (output) => {
          this.#take(measured, output);
        },
        error: (error: unknown) => {
          logger.error({ trackId: track.trackId, reason: messageOf(error) }, 'a track failed and is measured no longer');
          call.timeline.write({ type: 'gap', atMs: this.#atMs(call), startMs: this.#atMs(call), participantId, reason: 'media' });
          heard.resolve(undefined);
          tap.close('error');
        },
        complete: () => {
          heard.resolve(undefined);
        },
      });
    } catch (error) {
      const code = error instanceof UndertoneError ? error.code : undefined;
      logger.error({ trackId: track.trackId, code, reason: messageOf(error) }, 'a track cannot be measured');
      tap.close('error');
    }
  }

  /** Withdrawn consent discards what is under way; a source that ended still has its last words scored. */
  #close(track: TrackInfo, reason: ClosedReason): void {
    const measured = this.#tracks.get(track.trackId);
    if (measured === undefined) return;
    const { emotion, overload } = this.#options;
    overload?.leave(track.trackId, { tell: reason === 'source' });
    if (reason !== 'source') {
      measured.subscription?.unsubscribe();
      void emotion.closeTrack(track.trackId, { discard: true });
      this.#tracks.delete(track.trackId);
      return;
    }
    const closed = measured.heard
      .then(() => emotion.closeTrack(track.trackId, { discard: false }))
      .then(() => {
        this.#tracks.delete(track.trackId);
      });
    const { leaving } = measured.call;
    const before = leaving.get(track.participantId);
    const after = Promise.all([before, closed]).then(() => {
      if (leaving.get(track.participantId) === after) leaving.delete(track.participantId);
    });
    leaving.set(track.participantId, after);
    this.#untilDone(after);
  }

  #take(measured: MeasuredTrack, output: CallerOutput): void {
    const { emotion, overload } = this.#options;
    if (output.kind === 'window') {
      emotion.submit(output.window);
      return;
    }
    const { participantId } = measured.track;
    if (output.kind === 'gap') {
      const [startMs, atMs] = [mediaMs(measured, output.gap.startSample), mediaMs(measured, output.gap.endSample)];
      measured.call.timeline.write({ type: 'gap', atMs, startMs, participantId, reason: 'media' });
      return;
    }
    const { change } = output;
    overload?.speech(measured.track.trackId, change.state);
    measured.call.timeline.write({ type: 'speech', atMs: mediaMs(measured, change.atSample), participantId, state: change.state });
    emotion.speech(change);
  }

  #write(output: EmotionOutput): void {
    const { labels } = this.#options.emotion.manifest;
    const body = output.kind === 'point' ? output.point : output.kind === 'segment' ? output.segment : output.gap;
    const measured = this.#tracks.get(body.track.trackId);
    if (measured === undefined) return;
    const { timeline } = measured.call;
    const { participantId } = body.track;
    const base = { atMs: mediaMs(measured, body.endSample), startMs: mediaMs(measured, body.startSample), participantId };
    if (output.kind === 'gap') {
      timeline.write({ type: 'gap', ...base, reason: output.gap.reason });
      return;
    }
    const { label, confidence, probabilities, concealedRatio } = output.kind === 'point' ? output.point : output.segment;
    const unreliable = concealedRatio > (this.#options.audio?.unreliableAbove ?? defaultUnreliableAbove);
    const said = { label, confidence, probabilities: byLabel(labels, probabilities), concealedRatio, unreliable };
    if (output.kind === 'segment') {
      const { points, hopSamples } = output.segment;
      timeline.write({ type: 'segment', ...base, ...said, points, hopMs: hopSamples / samplesPerMs });
      return;
    }
    const { speechRatio, hopSamples, arrivalMs } = output.point;
    const hopMs = hopSamples / samplesPerMs;
    timeline.write({ type: 'point', ...base, ...said, speechRatio, hopMs, arrivedAtUnixMs: arrivalMs });
  }

  /** Writes of a participant at once, or, while their last scores are awaited, after those. */
  #inTurn(participant: ParticipantInfo, write: (call: MeasuredCall, participant: ParticipantInfo) => void): void {
    const call = this.#calls.get(participant.callId);
    if (call === undefined) return;
    const { participantId } = participant;
    const before = call.leaving.get(participantId);
    if (before === undefined) {
      write(call, participant);
      return;
    }
    const after = before.then(() => {
      write(call, participant);
      if (call.leaving.get(participantId) === after) call.leaving.delete(participantId);
    });
    call.leaving.set(participantId, after);
    this.#untilDone(after);
  }

  #untilDone(work: Promise<unknown>): void {
    const done = work.then(
      () => undefined,
      (error: unknown) => {
        this.#options.logger.error({ reason: messageOf(error) }, 'the end of a track or call could not be written');
      },
    );
    this.#ending.add(done);
    void done.then(() => this.#ending.delete(done));
  }

  #atMs(call: MeasuredCall): number {
    return callMs(call, this.#options.clock.nowMs());
  }
}

function callMs(call: MeasuredCall, unixMs: number): number {
  return Math.max(0, Math.round(unixMs - call.openedAtUnixMs));
}

function mediaMs(measured: MeasuredTrack, sample: number): number {
  return callMs(measured.call, measured.clock.wallMsOf(sample));
}

function byLabel(labels: readonly string[], probabilities: Float32Array): Record<string, number> {
  return Object.fromEntries(labels.map((label, i) => [label, Math.round((probabilities[i] ?? 0) * 1e6) / 1e6]));
}
