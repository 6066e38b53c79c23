// A savefile that comes in pieces, of either format. Pure.
import type { Frame } from '../packet/frame.js';
import { isPcapMagic, PcapFormat, type SavefileFormat } from './pcap-format.js';
import { isPcapngMagic, PcapngFormat } from './pcapng-format.js';
import { CaptureError, requirePflog, type RequireLinkType } from './source.js';
import { amount } from '../words.js';

/** Reads a savefile (pcap or pcapng, told by its first bytes) that comes in chunks of any size. */
export class SavefileParser {
  private format: SavefileFormat | undefined;
  private rest: Buffer = Buffer.alloc(0);
  private consumed = 0;

  /**
   * @param origin - the file's name, for messages
   * @param deliver - gets each frame, before {@link push} returns
   * @param require - says which link types are wanted
   */
  constructor(
    private readonly origin: string,
    private readonly deliver: (frame: Frame) => void,
    private readonly require: RequireLinkType = requirePflog,
  ) {}

  /** Whether the file's header has been read. */
  get hasHeader(): boolean {
    return this.consumed > 0;
  }

  /**
   * Takes the next bytes of the file.
   * @throws CaptureError when they are not what a savefile has, or of another link type
   */
  push(chunk: Buffer): void {
    const data = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    this.rest = data;
    if (data.length < 4) return;
    this.format ??= this.detect(data.readUInt32LE(0));
    const used = this.format.read(data, this.deliver);
    this.consumed += used;
    this.rest = data.subarray(used);
  }

  /**
   * Says that the file has ended.
   * @returns number of bytes of an incomplete last record, 0 when there is none
   * @throws CaptureError when there was not even a file header
   */
  finish(): number {
    if (this.consumed === 0) {
      const found = this.rest.length === 0 ? 'empty' : `only ${amount(this.rest.length, 'byte')}`;
      throw new CaptureError(`${this.origin}: ${found}, not a savefile`, 'data');
    }
    return this.rest.length;
  }

  private detect(magic: number): SavefileFormat {
    if (isPcapMagic(magic)) return new PcapFormat(this.origin, this.require);
    if (isPcapngMagic(magic)) return new PcapngFormat(this.origin, this.require);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(magic);
    throw new CaptureError(
      `${this.origin}: begins with ${bytes.toString('hex')}, not a pcap or pcapng savefile`,
      'data',
    );
  }
}
