// Writes NumPy's .npy files, row by row, so that training can map them into memory.
import { open, type FileHandle } from 'node:fs/promises';

const headerBytes = 128;

/** Appends rows of little-endian values to a two-dimensional .npy file; `close()` writes the final row count. */
export class NpyWriter {
  readonly #file: FileHandle;
  readonly #dtype: string;
  readonly #columns: number;
  #rows = 0;
  #closed: Promise<void> | null = null;

  private constructor(file: FileHandle, dtype: string, columns: number) {
    this.#file = file;
    this.#dtype = dtype;
    this.#columns = columns;
  }

  /** @param dtype NumPy's name of the type: `<f4` for Float32Array, `|u1` for Uint8Array. */
  static async create(path: string, dtype: '<f4' | '|u1', columns: number): Promise<NpyWriter> {
    const writer = new NpyWriter(await open(path, 'w'), dtype, columns);
    await writer.#file.write(writer.#header(), 0, headerBytes, 0);
    return writer;
  }

  /** Rows written so far. */
  get rows(): number {
    return this.#rows;
  }

  /** Appends whole rows. @throws RangeError if the length is not a multiple of the columns. */
  async append(values: Float32Array | Uint8Array): Promise<void> {
    if (values.length % this.#columns !== 0) {
      throw new RangeError(`Expected a multiple of ${this.#columns} values, got ${values.length}`);
    }
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const position = headerBytes + this.#rows * this.#columns * values.BYTES_PER_ELEMENT;
    await this.#file.write(bytes, 0, bytes.length, position);
    this.#rows += values.length / this.#columns;
  }

  /** Writes the final number of rows. Safe twice. */
  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #finish(): Promise<void> {
    await this.#file.write(this.#header(), 0, headerBytes, 0);
    await this.#file.close();
  }

  #header(): Buffer {
    const shape = this.#columns === 1 ? `(${this.#rows},)` : `(${this.#rows}, ${this.#columns})`;
    const text = `{'descr': '${this.#dtype}', 'fortran_order': False, 'shape': ${shape}, }`;
    const header = Buffer.alloc(headerBytes, ' ');
    header.write('\x93NUMPY\x01\x00', 0, 'latin1');
    header.writeUInt16LE(headerBytes - 10, 8);
    header.write(text, 10, 'latin1');
    header.write('\n', headerBytes - 1, 'latin1');
    return header;
  }
}
