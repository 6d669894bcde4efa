// Asking for the microphone and the camera, and saying in plain words why one cannot be had.

/** A track, or why there is none. */
export type Captured = { readonly track: MediaStreamTrack; readonly problem: null } | { readonly track: null; readonly problem: string };

/** Asks the browser for a microphone or a camera. Never rejects. */
export async function capture(kind: 'microphone' | 'camera'): Promise<Captured> {
  // On a page that is neither https nor localhost browsers offer no devices at all.
  const devices = (navigator as { mediaDevices?: MediaDevices }).mediaDevices;
  if (devices === undefined) return { track: null, problem: `This page needs https to use your ${kind}.` };
  try {
    const stream = await devices.getUserMedia(
      kind === 'microphone'
        ? { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 } }
        : { video: { width: { ideal: 960 }, height: { ideal: 540 }, frameRate: { ideal: 24 } } },
    );
    const [track] = stream.getTracks();
    if (track !== undefined) return { track, problem: null };
  } catch (error) {
    const name = error instanceof Error ? error.name : '';
    if (name === 'NotAllowedError') return { track: null, problem: `Your ${kind} is blocked. Allow it in the browser’s address bar.` };
    if (name === 'NotReadableError') return { track: null, problem: `Your ${kind} is in use by another application.` };
  }
  return { track: null, problem: `No ${kind} was found.` };
}
