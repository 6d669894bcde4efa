// Brings the packets of taps past mediasoup's channel: by UDP on the loopback address, read a few milliseconds' worth at a time.
import { systemClock, type Clock } from '../clock.ts';
import { messageOf, UndertoneError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { HostPlainTransport, HostRouter } from './host.ts';
import { loadReaders, type OpenReader, type RtpReader } from './rtp-reader.ts';

/** Takes a packet; `data` is valid until it returns. */
export type TakeRtp = (data: Uint8Array, arrivalMs: number) => void;

/** What an {@link RtpIntake} is made from. */
export interface RtpIntakeOptions {
  /** From one reading to the next, ms. @default 6 */
  readonly everyMs?: number;
  /** Told when all that had come was taken. */
  readonly onTaken?: () => void;
  /** @default systemClock */
  readonly clock?: Clock;
  readonly logger: Logger;
  readonly metrics?: Pick<Metrics, 'tapPacketsDropped'> | undefined;
  /** @default the compiled reader */
  readonly openReader?: OpenReader;
}

/** A router's transport, connected to one of the sockets. */
export interface IntakeTransport<Capabilities = unknown> {
  readonly transport: HostPlainTransport<Capabilities>;
  /** Names the transport to {@link RtpIntake.listen}. */
  readonly port: number;
}

interface Socket {
  readonly reader: RtpReader;
  /** Transports that are connected to it. */
  transports: number;
  reportedDrops: number;
}

const headerBytes = 12;

/** Where a reading would bring fewer than so many, the next one waits for twice as long: of what few packets cost, waking the threads that they go through is a part (ADR 25). */
const fewPackets = 64;

/** What a socket is to hold, where the system lets it: 8 MiB. */
const wantedBytes = 8 * 1024 * 1024;
/** What of it is for one call: packets of four callers for more than a second. */
const bytesPerTransport = 256 * 1024;

/**
 * Ports of the transports: beyond those that mediasoup (to 59999) and Linux (to 60999) hand out themselves, and those of plain RTP
 * from telephone exchanges.
 */
const ports = { min: 62_000, max: 65_535 };

/**
 * mediasoup's channel hands each packet to JavaScript by itself, a message of its own to be decoded; read among others it costs the main
 * thread some 8 µs less (ADR 25). So each router has a transport that sends to a socket of this process, and the socket is read by a timer.
 * What comes from any other port is not listened to: no other process can say something in a caller's name.
 */
export class RtpIntake {
  readonly #everyMs: number;
  readonly #onTaken: () => void;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: RtpIntakeOptions['metrics'];
  readonly #openReader: OpenReader;
  readonly #sockets = new Set<Socket>();
  readonly #transports = new WeakMap<object, Promise<IntakeTransport | null>>();
  /** By the port of their transport, and their SSRC. */
  readonly #listeners = new Map<number, Map<number, TakeRtp>>();
  #listening = 0;
  /** Packets since the timer last read, and the pause before it did. */
  #taken = 0;
  #pauseMs: number;
  #timer: NodeJS.Timeout | undefined;
  #nowMs = 0;
  #reading = false;
  #closed = false;

  private constructor(options: RtpIntakeOptions, openReader: OpenReader) {
    const { everyMs = 6, onTaken = () => undefined, clock = systemClock, logger, metrics } = options;
    this.#everyMs = Math.max(1, everyMs);
    this.#pauseMs = this.#everyMs;
    this.#onTaken = onTaken;
    this.#clock = clock;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#openReader = openReader;
  }

  /** Opens the first socket. Where there is none to be had, says why. Never throws. */
  static open(options: RtpIntakeOptions): RtpIntake | { readonly reason: string } {
    const readers = options.openReader === undefined ? loadReaders() : { open: options.openReader };
    if ('reason' in readers) return readers;
    const intake = new RtpIntake(options, readers.open);
    try {
      intake.#openSocket();
      return intake;
    } catch (error) {
      return { reason: messageOf(error) };
    }
  }

  /** The transport of a router, made when it is first asked for; null where none can be had. It goes with its router. */
  transportOf<Capabilities>(router: HostRouter<Capabilities>): Promise<IntakeTransport<Capabilities> | null> {
    const known = this.#transports.get(router);
    if (known !== undefined) return known;
    const made = this.#connect(router).catch((error: unknown) => {
      this.#logger.warn({ reason: messageOf(error) }, "no UDP for a call's taps; its packets come by the media worker's channel");
      return null;
    });
    this.#transports.set(router, made);
    return made;
  }

  /** Takes the packets of one SSRC of a transport, from now until what is returned is called. RTCP is left out. */
  listen(port: number, ssrc: number, take: TakeRtp): () => void {
    const listeners = this.#listeners.get(port);
    if (listeners === undefined || listeners.has(ssrc)) return () => undefined;
    listeners.set(ssrc, take);
    this.#listening += 1;
    this.#schedule();
    return () => {
      if (listeners.get(ssrc) !== take) return;
      listeners.delete(ssrc);
      this.#listening -= 1;
    };
  }

  /** Takes what has come by now. Does nothing where it is asked to while it does. */
  read(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#nowMs = this.#clock.nowMs();
    try {
      for (const socket of this.#sockets) {
        socket.reader.read(this.#take);
        this.#reportDrops(socket);
      }
    } finally {
      this.#reading = false;
    }
    this.#onTaken();
  }

  /** What waits is lost. Safe to call twice. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { reader } of this.#sockets) reader.close();
    this.#sockets.clear();
    this.#listeners.clear();
    this.#listening = 0;
  }

  readonly #take = (port: number, data: Buffer, ageMs: number): void => {
    const type = data[1] ?? 0;
    this.#taken += 1;
    // RFC 5761: such types are RTCP's. What else is wrong with a packet of an SSRC, its receiver tells.
    if (data.length < headerBytes || (type >= 192 && type <= 223)) return;
    this.#listeners.get(port)?.get(data.readUInt32BE(8))?.(data, this.#nowMs - ageMs);
  };

  #schedule(): void {
    if (this.#timer !== undefined || this.#closed || this.#listening === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const expected = (this.#taken * this.#everyMs) / this.#pauseMs;
      this.#taken = 0;
      this.#pauseMs = expected < fewPackets ? 2 * this.#everyMs : this.#everyMs;
      // Before the next one is due: what is read may take as long as it will.
      this.#schedule();
      this.read();
    }, this.#pauseMs);
    this.#timer.unref();
  }

  #reportDrops(socket: Socket): void {
    const { drops } = socket.reader;
    if (drops === socket.reportedDrops) return;
    // The system counts in 32 bits.
    const more = (drops - socket.reportedDrops) >>> 0;
    socket.reportedDrops = drops;
    this.#metrics?.tapPacketsDropped.inc(more);
    this.#logger.warn({ packets: more }, 'the system dropped packets of taps, for this process was held up too long');
  }

  #openSocket(): Socket {
    const socket = { reader: this.#openReader(wantedBytes), transports: 0, reportedDrops: 0 };
    this.#sockets.add(socket);
    return socket;
  }

  /** One with room for another call: a burst must not take the room of the others. */
  #socketWithRoom(): Socket {
    for (const socket of this.#sockets) if ((socket.transports + 1) * bytesPerTransport <= socket.reader.bufferBytes) return socket;
    for (const socket of this.#sockets) if (socket.transports === 0) return socket;
    return this.#openSocket();
  }

  async #connect<Capabilities>(router: HostRouter<Capabilities>): Promise<IntakeTransport<Capabilities> | null> {
    if (router.createPlainTransport === undefined) return null;
    const transport = await router.createPlainTransport({
      listenInfo: { protocol: 'udp', ip: '127.0.0.1', portRange: ports },
      rtcpMux: true,
      comedia: false,
    });
    try {
      if (this.#closed) throw new UndertoneError('UT_MEDIA_FAILED', 'Expected an open intake, got one that closed meanwhile');
      const socket = this.#socketWithRoom();
      const port = transport.tuple.localPort;
      const listeners = new Map<number, TakeRtp>();
      socket.transports += 1;
      this.#listeners.set(port, listeners);
      transport.observer.on('close', () => {
        this.#listening -= listeners.size;
        // A media worker's death may be heard of when the port is another transport's already.
        if (this.#listeners.get(port) === listeners) this.#listeners.delete(port);
        listeners.clear();
        this.#leave(socket);
      });
      await transport.connect({ ip: '127.0.0.1', port: socket.reader.port });
      return { transport, port };
    } catch (error) {
      transport.close();
      throw error;
    }
  }

  #leave(socket: Socket): void {
    socket.transports -= 1;
    if (socket.transports > 0 || this.#sockets.size === 1 || !this.#sockets.delete(socket)) return;
    socket.reader.close();
  }
}
