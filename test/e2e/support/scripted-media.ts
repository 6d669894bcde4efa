// Answers to the media requests that satisfy a browser up to the point where packets would flow.

/** What a router of Opus and VP8 says that it can do. */
export const routerRtpCapabilities = {
  codecs: [
    { kind: 'audio', mimeType: 'audio/opus', preferredPayloadType: 100, clockRate: 48_000, channels: 2, parameters: {}, rtcpFeedback: [] },
    { kind: 'video', mimeType: 'video/VP8', preferredPayloadType: 101, clockRate: 90_000, parameters: {}, rtcpFeedback: [] },
  ],
  headerExtensions: [
    { kind: 'audio', uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', preferredId: 1, preferredEncrypt: false, direction: 'sendrecv' },
    { kind: 'video', uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', preferredId: 1, preferredEncrypt: false, direction: 'sendrecv' },
  ],
};

let lastId = 0;

/** Answers any media request. */
export function answerMedia(method: string): object {
  lastId += 1;
  const iceParameters = { usernameFragment: 'scripted', password: 'scripted-password-0123456789', iceLite: true };
  switch (method) {
    case 'createTransport':
      return {
        transportId: `transport-${String(lastId)}`,
        iceParameters,
        iceCandidates: [
          { foundation: 'udpcandidate', priority: 1, ip: '127.0.0.1', address: '127.0.0.1', protocol: 'udp', port: 9, type: 'host' },
        ],
        dtlsParameters: { role: 'auto', fingerprints: [{ algorithm: 'sha-256', value: Array(32).fill('AB').join(':') }] },
      };
    case 'produce':
      return { producerId: `producer-${String(lastId)}` };
    case 'restartIce':
      return { iceParameters };
    default:
      return {};
  }
}
