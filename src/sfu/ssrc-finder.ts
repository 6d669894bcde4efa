// Waits at a port for the first RTP packet of a payload type: what a PBX calls its stream, it tells by sending it.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

/** Waits for one stream. */
export interface SsrcFinder {
  /** The SSRC of the first fitting packet; never settles where the finder is closed before. */
  readonly found: Promise<number>;
  /** Resolves once the port is free again. Safe to call twice. */
  close(): Promise<void>;
}

const headerBytes = 12;

/**
 * Binds the port. Rejects with Node's error where that fails.
 * @param fromIp the only address whose packets count @default any
 */
export async function findSsrc(ip: string, port: number, payloadType: number, fromIp?: string): Promise<SsrcFinder> {
  const socket = createSocket(isIPv6(ip) ? 'udp6' : 'udp4');
  socket.bind({ address: ip, port, exclusive: true });
  try {
    await once(socket, 'listening');
  } catch (error) {
    socket.close();
    throw error;
  }
  // Errors of a datagram are the network's; the next one may arrive.
  socket.on('error', () => undefined);
  const found = new Promise<number>((resolve) => {
    socket.on('message', (packet, { address }) => {
      if (fromIp !== undefined && address !== fromIp) return;
      const ssrc = ssrcOf(packet, payloadType);
      if (ssrc !== undefined) resolve(ssrc);
    });
  });
  let closed: Promise<void> | undefined;
  return { found, close: () => (closed ??= closeSocket(socket)) };
}

/** RFC 3550, 5.1. Zero is left out: it is what mediasoup takes for none. */
function ssrcOf(packet: Buffer, payloadType: number): number | undefined {
  const [first = 0, second = 0] = packet;
  if (packet.length <= headerBytes || first >> 6 !== 2 || (second & 0x7f) !== payloadType) return undefined;
  const ssrc = packet.readUInt32BE(8);
  return ssrc === 0 ? undefined : ssrc;
}

function closeSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.close(() => {
      resolve();
    });
  });
}
