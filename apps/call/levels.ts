// Who is speaking: the level of each track, read ten times a second.

/** Watches tracks for speech. */
export interface Levels {
  /** Calls back whenever the track begins or ceases to be loud; gives the function that stops it. */
  watch(track: MediaStreamTrack, changed: (speaking: boolean) => void): () => void;
  close(): void;
}

interface Watched {
  readonly analyser: AnalyserNode;
  readonly source: MediaStreamAudioSourceNode;
  readonly changed: (speaking: boolean) => void;
  speaking: boolean;
  lastLoudMs: number;
}

const intervalMs = 100;
/** About -45 dBFS. */
const loudRms = 0.0056;
/** Pauses between words shorter than this do not count, ms. */
const holdMs = 400;

/** Starts to watch. To be called after a click, or browsers keep the audio context asleep. */
export function createLevels(): Levels {
  const context = new AudioContext();
  const watched = new Set<Watched>();
  const samples = new Float32Array(1024);

  const timer = setInterval(() => {
    const nowMs = performance.now();
    for (const entry of watched) {
      entry.analyser.getFloatTimeDomainData(samples);
      let energy = 0;
      for (const sample of samples) energy += sample * sample;
      if (Math.sqrt(energy / samples.length) > loudRms) entry.lastLoudMs = nowMs;
      const speaking = nowMs - entry.lastLoudMs < holdMs;
      if (speaking === entry.speaking) continue;
      entry.speaking = speaking;
      entry.changed(speaking);
    }
  }, intervalMs);

  return {
    watch(track, changed) {
      void context.resume();
      const analyser = new AnalyserNode(context, { fftSize: 1024 });
      const source = new MediaStreamAudioSourceNode(context, { mediaStream: new MediaStream([track]) });
      source.connect(analyser);
      const entry: Watched = { analyser, source, changed, speaking: false, lastLoudMs: -Infinity };
      watched.add(entry);
      return () => {
        watched.delete(entry);
        source.disconnect();
      };
    },
    close() {
      clearInterval(timer);
      watched.clear();
      void context.close();
    },
  };
}
