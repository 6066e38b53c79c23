// Names that options take as values.

/** The live sources, by the names of `--capture`. */
export const CAPTURE_NAMES = ['bpf', 'nflog', 'tcpdump', 'pcap', 'cap'] as const;

/** A live source's name. */
export type CaptureName = (typeof CAPTURE_NAMES)[number];

/** What can keep strangers out, by the names of `--firewall`. */
export const FIREWALL_NAMES = ['pf', 'nft', 'queue'] as const;

/** A firewall's name. */
export type FirewallName = (typeof FIREWALL_NAMES)[number];
