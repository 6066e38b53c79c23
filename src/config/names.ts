// Names that options take as values.

/** The live sources, by the names of `--capture`. */
export const CAPTURE_NAMES = ['bpf', 'tcpdump', 'pcap', 'cap'] as const;

/** A live source's name. */
export type CaptureName = (typeof CAPTURE_NAMES)[number];
