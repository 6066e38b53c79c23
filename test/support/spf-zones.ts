/** SPF records as large senders have them, for name servers of tests. */

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** A text as TXT records have it: strings of at most 255 characters. */
function quoted(text: string): string {
  return (text.match(/.{1,200}/g) ?? []).map((part) => `"${part}"`).join(' ');
}

/** The data of a TXT record with these terms. */
export function spf(terms: readonly string[]): string {
  return quoted(`v=spf1 ${terms.join(' ')}`);
}

/** Terms for networks. */
export function ip(networks: readonly string[]): string[] {
  return networks.map((one) => `${one.includes(':') ? 'ip6' : 'ip4'}:${one}`);
}

/** As google.com has it: a record that leads to three of thirty networks each, IPv4 and IPv6. */
export const GOOGLE = {
  ipv4: numbers(60).map((i) => `64.${i}.0.0/${16 + (i % 9)}`),
  ipv6: numbers(30).map((i) => `2a00:${(i + 0x1000).toString(16)}::/36`),
};

/** Its zone, relative to whatever it is called. */
export const GOOGLE_ZONE = `
@ TXT ${spf(['include:_spf.google.test', '~all'])}
@ TXT "google-site-verification=1"
_spf 300 TXT ${spf([...numbers(3).map((i) => `include:_netblocks${i}.google.test`), '~all'])}
_netblocks0 400 TXT ${spf([...ip(GOOGLE.ipv4.slice(0, 30)), '~all'])}
_netblocks1 500 TXT ${spf([...ip(GOOGLE.ipv6), '~all'])}
_netblocks2 600 TXT ${spf([...ip(GOOGLE.ipv4.slice(30)), '~all'])}`;
