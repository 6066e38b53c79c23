import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatAddress, formatPrefix } from '../../src/packet/address.js';
import { type Config, type Given, needsRestart, resolveConfig } from '../../src/config/config.js';
import type { OptionKey } from '../../src/config/options.js';
import { formatProblem, suggestion } from '../../src/config/problem.js';

function fromFile(key: OptionKey, text?: string): Given {
  return { key, text, where: 'mx.conf:1', origin: 'file' };
}

function fromCommandLine(key: OptionKey, text?: string): Given {
  return { key, text, where: `--${key}`, origin: 'command line' };
}

const SERVERS = [fromFile('fakeMailserver', '192.0.2.3'), fromFile('realMailserver', '192.0.2.4')];

function resolved(...given: Given[]): Config {
  const result = resolveConfig([...SERVERS, ...given], [], 'openbsd');
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  return result.config;
}

/** The problems as `kind: text`. */
function problemsOf(given: readonly Given[]): string[] {
  const result = resolveConfig(given, [], 'openbsd');
  return result.ok ? [] : result.problems.map((problem) => `${problem.kind}: ${formatProblem(problem)}`);
}

describe('what is not given', () => {
  it('has the documented default', () => {
    const { fakeMailserver, realMailserver, ...rest } = resolved();
    assert.deepEqual(fakeMailserver.map(formatAddress), ['192.0.2.3']);
    assert.deepEqual(realMailserver.map(formatAddress), ['192.0.2.4']);
    assert.deepEqual(rest, {
      allow: [],
      allowDomain: [],
      dnswl: undefined,
      dnswlTrust: 1,
      port: 25,
      strangers: { kind: 'drop' },
      whitelistTime: 3600,
      knownTime: 691_200,
      isKnownTimeImplied: false,
      maxEntries: 100_000,
      ipv4Prefix: 32,
      ipv6Prefix: 64,
      outbound: false,
      noRdnsWhitelist: false,
      rdnsUnconfirmed: false,
      noPool: false,
      poolWindow: 3600,
      dnsServer: [],
      dnsTimeout: 2,
      capture: 'auto',
      pflogInterface: 'pflog0',
      pcapFilter: 'port 25',
      tcpdump: undefined,
      table: 'mx-white',
      anchor: '',
      pfctl: '/sbin/pfctl',
      firewall: 'pf',
      nft: '/usr/sbin/nft',
      nftRules: '/etc/mxallowd.nft',
      nftHook: 'both',
      nftPriority: -5,
      nflogGroup: 23,
      queueNum: undefined,
      queueLength: 8192,
      failOpen: false,
      dryRun: false,
      queueExit: 'drop',
      fleetUrl: undefined,
      fleetSite: 'mx',
      fleetNode: undefined,
      fleetPasswordFile: undefined,
      fleetCa: undefined,
      fleetShare: 50,
      fleetManual: false,
      fleetInsecure: false,
      user: undefined,
      foreground: false,
      pidFile: undefined,
      stateFile: '/var/db/mxallowd/state',
      controlSocket: '/var/run/mxallowd.sock',
      controlGroup: undefined,
      stdout: false,
      quiet: false,
      logFormat: 'text',
      logLevel: 'info',
    });
  });

  it('leaves the filter to follow the port', () => {
    assert.equal(resolved(fromCommandLine('port', '2525')).pcapFilter, 'port 2525');
    const both = resolved(fromCommandLine('port', '2525'), fromFile('pcapFilter', 'tcp'));
    assert.equal(both.pcapFilter, 'tcp');
  });
});

describe('strangers', () => {
  const on = (platform: NodeJS.Platform | 'replay', text: string): string[] => {
    const result = resolveConfig([...SERVERS, fromFile('strangers', text)], [], platform);
    return result.ok ? [] : result.problems.map(formatProblem);
  };

  it('are led to a port by pf, and marked by NFQUEUE; a value that the firewall lacks is an error', () => {
    assert.deepEqual(on('openbsd', 'redirect 8025'), []);
    assert.deepEqual(on('freebsd', 'redirect 10025'), []);
    assert.deepEqual(on('linux', 'mark 0x19'), []);
    for (const platform of ['openbsd', 'freebsd', 'linux'] as const)
      assert.deepEqual(on(platform, 'drop'), []);
    assert.deepEqual(on('linux', 'redirect 10025'), [
      'mx.conf:1: strangers: "redirect 10025" is for pf and nftables: NFQUEUE leads nobody to a port, but can mark packets for ' +
        'a rule of yours that does; write "mark N" (docs/strangers.md)',
    ]);
    assert.deepEqual(on('freebsd', 'mark 25'), [
      'mx.conf:1: strangers: "mark 25" is for NFQUEUE (Linux): pf leads strangers to a port, write ' +
        '"redirect PORT" (docs/strangers.md)',
    ]);
  });

  it('are both with nftables', () => {
    const onNft = (text: string): boolean =>
      resolveConfig([...SERVERS, fromFile('firewall', 'nft'), fromFile('strangers', text)], [], 'linux').ok;
    assert.deepEqual(['drop', 'redirect 10025', 'mark 7'].map(onNft), [true, true, true]);
  });

  it('may be anything where recordings are judged, whosever they are', () => {
    assert.deepEqual(on('replay', 'redirect 10025'), []);
    assert.deepEqual(on('replay', 'mark 1'), []);
  });

  it('are captured by the port that they are led to, too', () => {
    const redirect = fromFile('strangers', 'redirect 10025');
    assert.equal(resolved(redirect).pcapFilter, 'port 25 or port 10025');
    assert.equal(resolved(redirect, fromFile('port', '10025')).pcapFilter, 'port 10025');
    assert.equal(resolved(redirect, fromFile('pcapFilter', 'tcp')).pcapFilter, 'tcp');
  });
});

describe('what is given more than once', () => {
  it('adds up when it is an address, file first', () => {
    const config = resolved(
      fromFile('allow', '198.51.100.0/24'),
      fromCommandLine('fakeMailserver', '2001:db8::3'),
      fromCommandLine('allow', '198.51.101.7'),
    );
    assert.deepEqual(config.fakeMailserver.map(formatAddress), ['192.0.2.3', '2001:db8::3']);
    assert.deepEqual(config.allow.map(formatPrefix), ['198.51.100.0/24', '198.51.101.7']);
  });

  it('counts by its last word otherwise', () => {
    const config = resolved(fromFile('whitelistTime', '60'), fromFile('whitelistTime', '90'));
    assert.equal(config.whitelistTime, 90);
  });

  it('counts as on the command line, which comes after the file', () => {
    const config = resolved(fromFile('table', 'from-file'), fromCommandLine('table', 'from-line'));
    assert.equal(config.table, 'from-line');
  });

  it('is wrong as soon as one of its words is', () => {
    assert.deepEqual(
      problemsOf([...SERVERS, fromFile('whitelistTime', 'x'), fromCommandLine('whitelistTime', '60')]),
      [
        'config: mx.conf:1: whitelist-time: "x" is not a time from 1s to 366d, in seconds or with units as 1h30m',
      ],
    );
  });

  it('may be a switch', () => {
    assert.equal(resolved(fromFile('quiet'), fromCommandLine('quiet')).quiet, true);
  });
});

describe('queue-num', () => {
  const queueOn = (platform: NodeJS.Platform, ...given: Given[]) => {
    const result = resolveConfig([...SERVERS, ...given], [], platform);
    assert.ok(result.ok);
    return result.config.queueNum;
  };

  it('is 23 on Linux, unless it is given', () => {
    assert.deepEqual(queueOn('linux'), { first: 23, last: 23 });
    assert.deepEqual(queueOn('linux', fromFile('queueNum', '7-9')), { first: 7, last: 9 });
  });

  it('is none on Linux when a pfctl is named, unless both are', () => {
    const pfctl = fromFile('pfctl', '/usr/local/bin/pfctl');
    assert.equal(queueOn('linux', pfctl), undefined);
    assert.deepEqual(queueOn('linux', pfctl, fromFile('queueNum', '7')), { first: 7, last: 7 });
  });

  it('is what dry-run needs', () => {
    assert.deepEqual(problemsOf([...SERVERS, fromFile('dryRun')]), [
      'config: mx.conf:1: dry-run works with NFQUEUE only (queue-num, Linux): pf would drop all the same; see docs/pf.md for a way to look first',
    ]);
  });

  it('is none where pf is', () => {
    for (const platform of ['openbsd', 'freebsd'] as const) {
      assert.equal(queueOn(platform, fromFile('queueNum', '7')), undefined);
    }
  });
});

describe('firewall', () => {
  const on = (platform: NodeJS.Platform, ...given: Given[]) => {
    const result = resolveConfig([...SERVERS, ...given], [], platform);
    return result.ok ? result.config.firewall : result.problems.map(({ message }) => message);
  };

  it('is pf, on Linux a queue, unless it is named; or a pfctl is', () => {
    assert.equal(on('openbsd'), 'pf');
    assert.equal(on('linux'), 'queue');
    assert.equal(on('linux', fromFile('pfctl', '/sbin/pfctl')), 'pf');
    assert.equal(on('linux', fromFile('firewall', 'nft'), fromFile('queueNum', '7')), 'nft');
  });

  it('is none of Linux where pf is', () => {
    assert.deepEqual(on('freebsd', fromFile('firewall', 'nft')), [
      'firewall nft is for Linux: here it is pf',
    ]);
  });

  it('has sources of its own', () => {
    const capture = fromFile('capture', 'bpf');
    const message = 'capture bpf is not for nft: one of auto, nflog, tcpdump';
    assert.deepEqual(on('linux', fromFile('firewall', 'nft'), capture), [message]);
    assert.deepEqual(on('openbsd', fromFile('capture', 'nflog')), [
      'capture nflog is not for pf: one of bpf, tcpdump, pcap, cap',
    ]);
  });
});

describe('what is given is taken over', () => {
  it('each option at its place', () => {
    const config = resolved(
      fromFile('whitelistTime', '2h'),
      fromFile('knownTime', '36d'),
      fromFile('maxEntries', '5000'),
      fromFile('ipv4Prefix', '24'),
      fromFile('ipv6Prefix', '128'),
      fromFile('allowDomain', 'Example.COM.'),
      fromFile('allowDomain', '_spf.example.net'),
      fromFile('allowDomain', 'example.com'),
      fromFile('noRdnsWhitelist'),
      fromFile('rdnsUnconfirmed'),
      fromFile('noPool'),
      fromFile('poolWindow', '10m'),
      fromFile('dnswl', 'list.dnswl.org'),
      fromFile('dnswlTrust', '2'),
      fromFile('dnsServer', '192.0.2.53'),
      fromFile('dnsServer', '[2001:db8::53]:5353'),
      fromFile('dnsTimeout', '5'),
      fromFile('strangers', 'redirect 8025'),
      fromFile('capture', 'pcap'),
      fromFile('pflogInterface', 'pflog1'),
      fromFile('tcpdump', '/usr/sbin/tcpdump'),
      fromFile('nft', '/bin/nft'),
      fromFile('nftRules', '/etc/x.nft'),
      fromFile('nftHook', 'input'),
      fromFile('nftPriority', '10'),
      fromFile('nflogGroup', '7'),
      fromFile('queueLength', '1024'),
      fromFile('failOpen'),
      fromFile('queueExit', 'accept'),
      fromFile('fleetSite', 'lab'),
      fromFile('fleetNode', 'mx7'),
      fromFile('fleetPasswordFile', '/etc/fleet'),
      fromFile('fleetCa', '/etc/ca'),
      fromFile('fleetShare', '20%'),
      fromFile('fleetManual'),
      fromFile('fleetInsecure'),
      fromFile('user', 'nobody'),
      fromFile('anchor', 'mx/allow'),
      fromFile('pfctl', '/usr/local/bin/pfctl'),
      fromCommandLine('foreground'),
      fromFile('pidFile', '/tmp/mx.pid'),
      fromFile('stateFile', '/tmp/state'),
      fromFile('controlSocket', '/tmp/first.sock'),
      fromCommandLine('controlSocket', 'none'),
      fromFile('controlGroup', 'wheel'),
      fromFile('stdout'),
      fromFile('logFormat', 'json'),
      fromFile('logLevel', 'debug'),
    );
    const { fakeMailserver, realMailserver, allow, allowDomain, port, pcapFilter, table, quiet, ...rest } =
      config;
    assert.deepEqual([fakeMailserver.length, realMailserver.length, allow.length], [1, 1, 0]);
    assert.deepEqual(allowDomain, ['example.com', '_spf.example.net']);
    assert.deepEqual([port, pcapFilter, table, quiet], [25, 'port 25 or port 8025', 'mx-white', false]);
    assert.deepEqual(rest, {
      strangers: { kind: 'redirect', port: 8025 },
      whitelistTime: 7200,
      knownTime: 3_110_400,
      isKnownTimeImplied: false,
      maxEntries: 5000,
      ipv4Prefix: 24,
      ipv6Prefix: 128,
      outbound: false,
      noRdnsWhitelist: true,
      rdnsUnconfirmed: true,
      noPool: true,
      poolWindow: 600,
      dnswl: 'list.dnswl.org',
      dnswlTrust: 2,
      dnsServer: ['192.0.2.53', '[2001:db8::53]:5353'],
      dnsTimeout: 5,
      capture: 'pcap',
      pflogInterface: 'pflog1',
      tcpdump: '/usr/sbin/tcpdump',
      anchor: 'mx/allow',
      pfctl: '/usr/local/bin/pfctl',
      firewall: 'pf',
      nft: '/bin/nft',
      nftRules: '/etc/x.nft',
      nftHook: 'input',
      nftPriority: 10,
      nflogGroup: 7,
      queueNum: undefined,
      queueLength: 1024,
      failOpen: true,
      dryRun: false,
      queueExit: 'accept',
      fleetUrl: undefined,
      fleetSite: 'lab',
      fleetNode: 'mx7',
      fleetPasswordFile: '/etc/fleet',
      fleetCa: '/etc/ca',
      fleetShare: 20,
      fleetManual: true,
      fleetInsecure: true,
      user: 'nobody',
      foreground: true,
      pidFile: '/tmp/mx.pid',
      stateFile: '/tmp/state',
      controlSocket: '',
      controlGroup: 'wheel',
      stdout: true,
      logFormat: 'json',
      logLevel: 'debug',
    });
  });
});

describe('the mail servers', () => {
  const NEEDED = 'at least one fake and one real mail server address is needed';

  it('must be given, one of each', () => {
    assert.deepEqual(problemsOf([]), [
      `usage: no fake-mailserver is given: ${NEEDED}`,
      `usage: no real-mailserver is given: ${NEEDED}`,
    ]);
    assert.deepEqual(problemsOf([fromCommandLine('realMailserver', '192.0.2.4')]), [
      `usage: no fake-mailserver is given: ${NEEDED}`,
    ]);
  });

  it('that are missing are the fault of the file when there is one', () => {
    assert.deepEqual(problemsOf([fromFile('realMailserver', '192.0.2.4')]), [
      `config: no fake-mailserver is given: ${NEEDED}`,
    ]);
  });

  it('that are missing are the fault of the file, also when nothing of it could be used', () => {
    const earlier = {
      where: 'mx.conf',
      kind: 'config',
      message: 'ENOENT: no such file or directory',
    } as const;
    const result = resolveConfig([], [earlier], 'openbsd');
    assert.ok(!result.ok);
    assert.deepEqual(
      result.problems.map(({ kind }) => kind),
      ['config', 'config', 'config'],
    );
  });

  it('that are given but wrong are not missing, too', () => {
    assert.deepEqual(
      problemsOf([fromFile('fakeMailserver', 'mx1'), fromFile('realMailserver', '192.0.2.4')]),
      ['config: mx.conf:1: fake-mailserver: "mx1" is not an IPv4 or IPv6 address'],
    );
  });

  it('cannot be fake and real at once, however they are written', () => {
    const given = [
      fromFile('fakeMailserver', '192.0.2.3'),
      fromFile('fakeMailserver', '2001:db8::3'),
      fromCommandLine('fakeMailserver', '192.0.2.3'),
      fromFile('realMailserver', '2001:DB8:0::3'),
      fromCommandLine('realMailserver', '192.0.2.3'),
      fromCommandLine('realMailserver', '192.0.2.3'),
    ];
    assert.deepEqual(problemsOf(given), [
      'config: 192.0.2.3 is given as fake and as real mail server',
      'config: 2001:db8::3 is given as fake and as real mail server',
    ]);
  });
});

describe('a wrong value', () => {
  it('is told with its option, and with the file only when it stands there', () => {
    assert.deepEqual(problemsOf([...SERVERS, fromFile('port', 'smtp'), fromCommandLine('maxEntries', '0')]), [
      'config: mx.conf:1: port: "smtp" is not a whole number from 1 to 65535',
      'usage: --maxEntries: "0" is not a whole number from 1 to 1000000',
    ]);
  });

  it('is shown escaped and cut', () => {
    const [problem = ''] = problemsOf([...SERVERS, fromFile('table', `\x1b${'y'.repeat(500)}`)]);
    assert.match(problem, /^config: mx\.conf:1: table: "\\x1by{76}\.\.\." is not a table name/);
  });
});

describe('a restart', () => {
  it('is not needed when nothing changed, nor for what a reload takes over', () => {
    const before = resolved();
    assert.deepEqual(needsRestart(before, resolved()), []);
    const after = resolved(
      fromFile('fakeMailserver', '192.0.2.33'),
      fromFile('realMailserver', '192.0.2.44'),
      fromFile('allow', '198.51.100.0/24'),
      fromFile('whitelistTime', '60'),
      fromFile('maxEntries', '10'),
      fromFile('quiet'),
      fromFile('logLevel', 'debug'),
      fromCommandLine('foreground'),
    );
    assert.deepEqual(needsRestart(before, after), []);
  });

  it('is needed for what belongs to the capture, the table, the process and the log', () => {
    const after = resolved(
      fromFile('ipv4Prefix', '24'),
      fromFile('ipv6Prefix', '128'),
      fromFile('capture', 'pcap'),
      fromFile('pflogInterface', 'pflog1'),
      fromFile('pcapFilter', 'tcp'),
      fromFile('tcpdump', '/usr/sbin/tcpdump'),
      fromFile('table', 'other'),
      fromFile('anchor', 'mx'),
      fromFile('pfctl', '/usr/local/bin/pfctl'),
      fromFile('pidFile', '/tmp/mx.pid'),
      fromFile('stdout'),
      fromFile('logFormat', 'json'),
    );
    assert.deepEqual(needsRestart(resolved(), after), [
      'ipv4-prefix',
      'ipv6-prefix',
      'capture',
      'pflog-interface',
      'pcap-filter',
      'tcpdump',
      'table',
      'anchor',
      'pfctl',
      'pid-file',
      'stdout',
      'log-format',
    ]);
  });

  it('is needed for another port: the capture has its filter', () => {
    const [before, after] = [resolved(), resolved(fromFile('port', '2525'))];
    assert.deepEqual(needsRestart(before, after), ['port', 'pcap-filter']);
    const filter = fromFile('pcapFilter', 'tcp');
    assert.deepEqual(needsRestart(resolved(filter), resolved(filter, fromFile('port', '2525'))), ['port']);
  });
});

describe('a suggestion', () => {
  const known = ['fake-mailserver', 'real-mailserver', 'whitelist-time', 'table', 'port'];

  it('is the nearest name, without regard to dashes and case', () => {
    assert.equal(suggestion('--Fake-Mailsever', known), ' (did you mean "fake-mailserver"?)');
    assert.equal(suggestion('tabel', known), ' (did you mean "table"?)');
  });

  it('is not made when nothing is near', () => {
    assert.equal(suggestion('xyzzy', known), '');
    assert.equal(suggestion('allow', ['table', 'port']), '');
    assert.equal(suggestion('', known), '');
  });
});
