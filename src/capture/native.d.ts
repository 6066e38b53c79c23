// The parts of the optional packages pcap and cap that are used; neither ships types for them.

declare module 'pcap' {
  import type { EventEmitter } from 'node:events';

  export interface PacketWithHeader {
    /** one buffer, reused for every packet */
    readonly buf: Buffer;
    /** struct pcap_pkthdr: tv_sec u32, tv_usec u32, caplen u32, len u32, host order */
    readonly header: Buffer;
    readonly link_type: string;
  }

  export interface PcapSession extends EventEmitter {
    readonly link_type: string;
    on(event: 'packet', listener: (packet: PacketWithHeader) => void): this;
    on(event: 'complete', listener: () => void): this;
    stats(): { ps_recv: number; ps_drop: number; ps_ifdrop: number };
    close(): void;
  }

  export interface SessionOptions {
    filter?: string;
    snap_length?: number;
    promiscuous?: boolean;
    /** milliseconds; 0 sets immediate mode */
    buffer_timeout?: number;
  }

  export function createSession(device: string, options: SessionOptions): PcapSession;
  export function createOfflineSession(path: string, options: SessionOptions): PcapSession;
  export let warningHandler: (text: string) => void;
}

declare module 'cap' {
  import type { EventEmitter } from 'node:events';

  export class Cap extends EventEmitter {
    open(device: string, filter: string, bufferSize: number, buffer: Buffer): string;
    setMinBytes(bytes: number): void;
    close(): void;
    on(event: 'packet', listener: (bytes: number, truncated: boolean) => void): this;
  }
}
