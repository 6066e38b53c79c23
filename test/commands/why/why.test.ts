import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runCli, Scratch } from '../../support/cli.js';
import { dnsUnavailable, NameServer, reverseZones, SlowServer } from '../../support/dns.js';

const scratch = new Scratch();
after(() => scratch.remove());

// with a file named, no test depends on an /etc/mxallowd.conf
const EMPTY = scratch.file('empty.conf', '# nothing\n');
const SERVERS = ['-c', EMPTY, '-f', '192.0.2.3', '-r', '192.0.2.4', '--control-socket=none'];
const NO_DAEMON = ['daemon:                   --control-socket: none, so the daemon cannot be asked'];
const MANY = Array.from({ length: 60 }, (_, i) => `203.0.113.${i + 1}`);

const ZONES = {
  'sender.com': `
out1 A 198.51.100.1
1.100.51.198.dnswl A 127.0.10.2
out1 AAAA 2001:db8:5::1
out1 A 10.1.2.3
out1 A 192.0.2.4
@ TXT "v=spf1 ip4:198.51.100.0/24 -all"
198-51-100-2.dsl A 198.51.100.2`,
  'victim.com': 'mail A 192.0.2.80',
  'many.com': [
    ...MANY.slice(0, 30).map((text) => `one A ${text}`),
    ...['203.0.113.1', ...MANY.slice(30)].map((text) => `two A ${text}`),
  ].join('\n'),
  'empty.com': '',
  ...reverseZones([
    ['198.51.100.1', 'out1.sender.com', 'no-address.empty.com'],
    ['198.51.100.2', '198-51-100-2.dsl.sender.com'],
    ['198.51.100.3', 'mail.victim.com'],
    ['2001:db8:5::1', 'out1.sender.com'],
    ['203.0.113.1', 'one.many.com', 'two.many.com'],
  ]),
  '2.0.192.in-addr.arpa': '60 PTR bad\\032name.example.com.',
};

describe('mxallowd why', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  before(async () => {
    server = await NameServer.start(ZONES);
    assert.doesNotMatch(server.log(), /error/);
  });
  after(() => server.dispose());

  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    [
      'a member of a pool',
      ['198.51.100.1'],
      [
        'address:                  198.51.100.1',
        ...NO_DAEMON,
        'if it tries the fake MX:  198.51.100.1 is let in for 1h, then for 8d from each',
        '                          time it reaches the real MX',
        'PTR:                      no-address.empty.com: has no address',
        '                          out1.sender.com: confirmed',
        'and with it:              2001:db8:5::1',
        'registrable domain:       sender.com',
        'SPF:                      sender.com: pass',
        'straight to the real MX:  admitted if somebody of sender.com has tried the fake',
        '                          MX within 3600 s before, otherwise refused',
      ],
    ],
    [
      'an IPv6 address, with other times and prefixes',
      ['2001:db8:5::1', '--ipv6-prefix=56', '-t', '7200', '--pool-window=10m'],
      [
        'address:                  2001:db8:5::1',
        ...NO_DAEMON,
        'if it tries the fake MX:  2001:db8:5::/56 is let in for 2h, then for 8d from',
        '                          each time it reaches the real MX',
        'PTR:                      out1.sender.com: confirmed',
        'and with it:              198.51.100.1',
        'registrable domain:       sender.com',
        'SPF:                      sender.com: fail',
        'straight to the real MX:  refused: the SPF record of sender.com says fail',
      ],
    ],
    [
      'a dial-up name',
      ['198.51.100.2'],
      [
        'address:                  198.51.100.2',
        ...NO_DAEMON,
        'if it tries the fake MX:  198.51.100.2 is let in for 1h, then for 8d from each',
        '                          time it reaches the real MX',
        'PTR:                      198-51-100-2.dsl.sender.com: confirmed',
        'and with it:              no other address',
        'pool:                     198-51-100-2.dsl.sender.com merely encodes the',
        '                          address: not counted',
        'straight to the real MX:  refused: its name 198-51-100-2.dsl.sender.com merely',
        '                          encodes its address, as dial-up names do',
      ],
    ],
    [
      'a name that does not point back',
      ['198.51.100.3'],
      [
        'address:                  198.51.100.3',
        ...NO_DAEMON,
        'if it tries the fake MX:  198.51.100.3 is let in for 1h, then for 8d from each',
        '                          time it reaches the real MX',
        'PTR:                      mail.victim.com: does not point back',
        'and with it:              no other address',
        'straight to the real MX:  refused: its name mail.victim.com does not point back',
        '                          to it',
      ],
    ],
    [
      'the same, when it is believed, without pools',
      ['198.51.100.3', '--rdns-unconfirmed', '--no-pool'],
      [
        'address:                  198.51.100.3',
        ...NO_DAEMON,
        'if it tries the fake MX:  198.51.100.3 is let in for 1h, then for 8d from each',
        '                          time it reaches the real MX',
        'PTR:                      mail.victim.com: does not point back',
        'and with it:              192.0.2.80',
      ],
    ],
    [
      'an address without a name',
      ['198.51.100.99'],
      [
        'address:                  198.51.100.99',
        ...NO_DAEMON,
        'if it tries the fake MX:  198.51.100.99 is let in for 1h, then for 8d from each',
        '                          time it reaches the real MX',
        'PTR:                      there is none',
        'and with it:              no other address',
        'straight to the real MX:  refused: it has no name (ENOTFOUND)',
      ],
    ],
    [
      'an address with an impossible name',
      ['192.0.2.60'],
      [
        'address:                  192.0.2.60',
        ...NO_DAEMON,
        'if it tries the fake MX:  192.0.2.60 is let in for 1h, then for 8d from each',
        '                          time it reaches the real MX',
        'PTR:                      no name that a mail server could have',
        'and with it:              no other address',
        'straight to the real MX:  refused: it has no name',
      ],
    ],
    [
      'a private address',
      ['192.168.1.1'],
      [
        'address:                  192.168.1.1',
        ...NO_DAEMON,
        'if it tries the fake MX:  192.168.1.1 is let in for 1h, then for 8d from each',
        '                          time it reaches the real MX',
        'names:                    are not looked up: not an address of the Internet',
      ],
    ],
    [
      'an address when no names are looked up',
      ['198.51.100.1', '--no-rdns-whitelist', '--no-pool'],
      [
        'address:                  198.51.100.1',
        ...NO_DAEMON,
        'if it tries the fake MX:  198.51.100.1 is let in for 1h, then for 8d from each',
        '                          time it reaches the real MX',
        'names:                    are not looked up (no-rdns-whitelist, no-pool)',
      ],
    ],
    [
      'our own MX',
      ['192.0.2.4', '--no-rdns-whitelist', '--no-pool'],
      ['address:                  192.0.2.4', ...NO_DAEMON, 'is:                       our real MX'],
    ],
    [
      'one of an allowed network',
      ['198.51.100.99', '--allow=198.51.100.0/24', '--no-rdns-whitelist', '--no-pool'],
      [
        'address:                  198.51.100.99',
        ...NO_DAEMON,
        'is:                       admitted at all times (allow 198.51.100.0/24)',
      ],
    ],
  ];
  for (const [what, args, lines] of cases) {
    it(`explains ${what}`, async () => {
      const result = await runCli(['why', ...SERVERS, `--dns-server=${server.address}`, ...args]);
      // records come in any order
      assert.deepEqual(
        { ...result, stdout: inOrder(result.stdout) },
        { status: 0, stdout: inOrder(`${lines.join('\n')}\n`), stderr: '' },
      );
    });
  }

  it('names as many other addresses as the daemon admits', async () => {
    const args = [...SERVERS, `--dns-server=${server.address}`, '--no-pool', '203.0.113.1'];
    const { stdout } = await runCli(['why', ...args]);
    assert.equal(/^and with it: .*\n(?: .*\n)*/m.exec(stdout)?.[0].split('\n').length, 32 + 1);
  });

  it('leaves the firewall alone: no root, no pf', async () => {
    const args = [
      ...SERVERS,
      `--dns-server=${server.address}`,
      '--pfctl=/nonexistent/pfctl',
      '198.51.100.99',
    ];
    assert.equal((await runCli(['why', ...args])).status, 0);
  });

  it('says what a DNS allow list knows', async () => {
    const zone = ['--dnswl', 'dnswl.sender.com', '--no-pool', '--dns-server', server.address];
    const { stdout } = await runCli(['why', ...SERVERS, ...zone, '198.51.100.1']);
    assert.match(stdout, /^allow list: +dnswl\.sender\.com: knows it, with trust 2: so it is let$/m);
    const other = await runCli(['why', ...SERVERS, ...zone, '203.0.113.1']);
    assert.match(other.stdout, /^allow list: +dnswl\.sender\.com: does not know it$/m);
  });

  it('says what a domain that is allowed lets in', async () => {
    const domain = ['--allow-domain', 'sender.com', '--dns-server', server.address];
    const { status, stdout } = await runCli(['why', ...SERVERS, ...domain, '198.51.100.9']);
    assert.equal(status, 0);
    assert.match(stdout, /^is: +admitted at all times \(allow-domain sender\.com:\s+198\.51\.100\.0\/24\)$/m);
    const other = await runCli(['why', ...SERVERS, ...domain, '203.0.113.1']);
    assert.match(other.stdout, /^if it tries the fake MX/m);
  });
});

/** What stands under one title, which a name server may give in any order, in a fixed one. */
function inOrder(text: string): string[] {
  const groups: string[][] = [];
  for (const line of text.split('\n')) {
    if (!line.startsWith(' ')) groups.push([line.slice(0, 26)]);
    groups.at(-1)?.push(line.slice(26));
  }
  return groups.map(([title = '', ...values]) => title + values.sort().join(' | '));
}

describe('mxallowd why without an answer', () => {
  it('says that there was none, and ends', async (t) => {
    const server = await SlowServer.start({ reply: () => 'never' });
    t.after(() => server.dispose());
    const args = [...SERVERS, `--dns-server=${server.address}`, '--dns-timeout=1', '198.51.100.1'];
    const result = await runCli(['why', ...args]);
    assert.deepEqual(result, {
      status: 69,
      stdout: `${[
        'address:                  198.51.100.1',
        ...NO_DAEMON,
        'if it tries the fake MX:  198.51.100.1 is let in for 1h, then for 8d from each',
        '                          time it reaches the real MX',
        'PTR:                      DNS does not answer (ETIMEOUT): the rest is not known',
      ].join('\n')}\n`,
      stderr: '',
    });
  });
});

describe('mxallowd why with a wrong command line', () => {
  const wrong: readonly (readonly [string, readonly string[], string])[] = [
    ['no address', [], 'why needs an address: mxallowd why ADDRESS'],
    ['a name', ['mail.example.com'], '"mail.example.com" is not an IPv4 or IPv6 address'],
    ['a network', ['192.0.2.0/24'], '"192.0.2.0/24" is not an IPv4 or IPv6 address'],
    ['two addresses', ['192.0.2.1', '192.0.2.2'], 'why takes one address, not "192.0.2.1 192.0.2.2"'],
    ['an odd text', ['\u001b[31m'], '"\\x1b[31m" is not an IPv4 or IPv6 address'],
    [
      'a name server by name',
      ['192.0.2.1', '--dns-server=dns.example.com'],
      '--dns-server: "dns.example.com" is not an address of a DNS server, with or without a port, such as 192.0.2.53:5353',
    ],
  ];
  for (const [what, args, message] of wrong) {
    it(`says what is wrong: ${what}`, async () => {
      const result = await runCli(['why', ...SERVERS, ...args]);
      assert.deepEqual(result, { status: 64, stdout: '', stderr: `mxallowd: ${message}\n` });
    });
  }
});
