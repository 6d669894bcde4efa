// The UDP ports of plain RTP: even ones of a range, in turn, so that the odd one above belongs to the same sender's RTCP.
import { UndertoneError } from '../errors.ts';

/** The range that ports are taken from, both ends included. */
export interface PortRange {
  readonly portMin: number;
  readonly portMax: number;
}

/** Hands out even ports. One that was given back comes again only after all the others, so that stray packets find nobody. */
export class IngestPorts {
  readonly #free: number[] = [];

  constructor({ portMin, portMax }: PortRange) {
    for (let port = portMin + (portMin % 2); port <= portMax; port += 2) this.#free.push(port);
    if (this.#free.length === 0) {
      const got = `${String(portMin)} to ${String(portMax)}`;
      throw new UndertoneError('UT_CONFIG_INVALID', `Expected \`portMin\` to \`portMax\` to hold an even port, got ${got}`);
    }
  }

  /**
   * Takes the first port on which `open` succeeds; of the others, which some other program holds, none is lost.
   * @throws UndertoneError UT_SERVER_OVERLOADED (retryable) where none is free, with the last failure as its cause.
   */
  async open<T>(open: (port: number) => Promise<T>): Promise<{ readonly port: number; readonly opened: T }> {
    let cause: unknown;
    for (let tries = this.#free.length; tries > 0; tries -= 1) {
      const port = this.#free.shift();
      if (port === undefined) break;
      try {
        return { port, opened: await open(port) };
      } catch (error) {
        cause = error;
        this.#free.push(port);
        if (!isPortTaken(error)) throw error;
      }
    }
    throw new UndertoneError('UT_SERVER_OVERLOADED', 'Expected a free port of `ingest.portMin` to `ingest.portMax`, got none', {
      retryable: true,
      cause,
    });
  }

  /** Gives a port back. */
  release(port: number): void {
    this.#free.push(port);
  }
}

/** Node says so by a code; mediasoup in words alone. */
function isPortTaken(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (('code' in at && at.code === 'EADDRINUSE') || /address already in use|port bind failed/i.test(at.message)) return true;
  }
  return false;
}
