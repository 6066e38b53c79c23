import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { largeSendersIn } from '../../../src/commands/refused/large-senders.js';
import { suggestions } from '../../../src/commands/refused/suggest.js';
import { refusedTable } from '../../../src/commands/refused/table.js';
import { parseConfigFile } from '../../../src/config/file.js';
import type { RefusedDomain, RefusedSender } from '../../../src/control/protocol.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function sender(prefix: string, other: Partial<RefusedSender> = {}): RefusedSender {
  return {
    prefix,
    address: prefix,
    count: 12,
    passed: 0,
    redirected: 0,
    returns: 3,
    firstAgoMs: 5 * HOUR,
    lastAgoMs: 2 * MINUTE,
    isIn: 'no',
    inAfterMs: undefined,
    name: undefined,
    isConfirmed: undefined,
    domain: undefined,
    spf: undefined,
    ...other,
  };
}

/** With a name of its own. */
function named(prefix: string, name: string, spf: string, other: Partial<RefusedSender> = {}): RefusedSender {
  const domain = name.split('.').slice(-2).join('.');
  return sender(prefix, { name, isConfirmed: true, domain, spf, ...other });
}

function domain(name: string, addresses: number, other: Partial<RefusedDomain> = {}): RefusedDomain {
  const ago = { firstAgoMs: 5 * HOUR, lastAgoMs: 2 * MINUTE };
  return { domain: name, count: 40, addresses, ...ago, isIn: false, ...other };
}

const SETTINGS = {
  now: '2026-12-01 14:03:00',
  file: '/etc/mxallowd.conf',
  isDry: false,
  largeSenders: new Set(['large-example.com']),
};

/** The lines of a configuration file among suggestions, without their #. */
function lines(all: readonly string[]): string[] {
  return all.filter((line) => /^#\S/.test(line)).map((line) => line.slice(1));
}

describe('suggestions for the configuration', () => {
  const honest = named('198.51.100.7', 'mail.honest-example.org', 'pass');
  const spammer = Array.from({ length: 60 }, (_, i) =>
    named(`203.0.113.${i}`, `s${i}.spam-example.biz`, 'pass', { count: 900, returns: 50 }),
  );
  const spamDomain = domain('spam-example.biz', 60, { count: 54_000 });

  it('begin with who has few addresses, SPF on its side, and comes back over hours', () => {
    const quick = named('198.51.100.8', 'mx.quick-example.org', 'pass', {
      firstAgoMs: 25 * MINUTE,
      returns: 1,
    });
    const soft = named('198.51.100.9', 'mx.soft-example.org', 'softfail');
    const none = named('198.51.100.10', 'mx.none-example.org', 'none');
    const all = suggestions([spammer[0] ?? honest, soft, none, quick, honest], [spamDomain], SETTINGS);
    assert.deepEqual(lines(all), [
      'allow 198.51.100.7',
      'allow 198.51.100.8',
      'allow 198.51.100.10',
      'allow 198.51.100.9',
      'allow 203.0.113.0',
    ]);
  });

  it('never name a spammer’s own domain, nor begin with his addresses, however often he comes', () => {
    const all = suggestions([...spammer, honest], [spamDomain], SETTINGS);
    const [first, ...rest] = lines(all);
    assert.equal(first, 'allow 198.51.100.7');
    assert.equal(rest.length, 4, 'a few of the sixty');
    assert.match(all.join('\n'), /^# 56 more like these\.$/m);
    assert.ok(rest.every((line) => line.startsWith('allow 203.0.113.')));
    assert.doesNotMatch(all.join('\n'), /^#allow-domain/m);
    assert.match(all.join('\n'), /one of 60\n# addresses of spam-example\.biz/);
  });

  it('name a domain as such only when it is a large sender’s, and its SPF record passes', () => {
    const of = (spf: string): RefusedSender[] =>
      [1, 2, 3].map((i) => named(`192.0.2.${i}`, `f${i}.large-example.com`, spf, { returns: 0, count: 1 }));
    const pass = suggestions([honest, ...of('pass')], [domain('large-example.com', 3)], SETTINGS);
    assert.deepEqual(lines(pass), ['allow-domain large-example.com', 'allow 198.51.100.7']);
    assert.match(pass.join('\n'), /large-example\.com, a large sender: 3 times from 3 addresses/);
    const softfail = suggestions(of('softfail'), [domain('large-example.com', 3)], SETTINGS);
    assert.deepEqual(lines(softfail), []);
  });

  it('name the record of a large sender where that is not its domain', () => {
    const of = named('192.0.2.1', 'f1.other-example.com', 'pass', { returns: 0, count: 1 });
    const largeSenders = new Set(['spf.another-example.com', 'spf.other-example.com']);
    const all = suggestions([of], [], { ...SETTINGS, largeSenders });
    assert.deepEqual(lines(all), ['allow-domain spf.other-example.com']);
  });

  it('have nobody who has got in since, has no name of its own, came once, or whose record says no', () => {
    const others = [
      sender('192.0.2.1'),
      sender('192.0.2.2', { name: '192-0-2-2.dial-example.net', isConfirmed: true }),
      named('192.0.2.3', 'mx.fail-example.org', 'fail'),
      named('192.0.2.4', 'mx.once-example.org', 'pass', { count: 1, returns: 0 }),
    ];
    const gotIn = [
      named('192.0.2.5', 'mx.in-example.org', 'pass', { isIn: 'yes' }),
      named('192.0.2.6', 'mx.next-example.org', 'pass', { isIn: 'next' }),
    ];
    const all = suggestions([...others, ...gotIn], [], SETTINGS);
    assert.deepEqual(lines(all), []);
    assert.match(all.join('\n'), /^# Nobody\.$/m);
    assert.match(all.join('\n'), /^# 4 others: /m);
  });

  it('have the addresses of a pool that come once each, when the pool comes again', () => {
    const member = named('192.0.2.4', 'f1.pool-example.org', 'pass', { count: 1, returns: 0 });
    assert.deepEqual(lines(suggestions([member], [domain('pool-example.org', 5)], SETTINGS)), [
      'allow 192.0.2.4',
    ]);
  });

  it('are a configuration file that says nothing, and what they say without the # is understood', () => {
    const all = suggestions([honest, sender('192.0.2.1')], [], SETTINGS);
    assert.deepEqual(parseConfigFile('x', all.join('\n')), { given: [], problems: [], remarks: [] });
    const wide = named('2001:db8:1::/64', 'mx.six-example.org', 'pass', { address: '2001:db8:1::25' });
    const lineOf = lines(suggestions([wide], [], SETTINGS)).join('\n');
    const { given, problems } = parseConfigFile('x', lineOf);
    assert.deepEqual(problems, []);
    assert.deepEqual(
      given.map(({ key, text }) => [key, text]),
      [['allow', '2001:db8:1::/64']],
    );
    for (const line of all) assert.ok(line.length <= 80, line);
  });

  it('say whom they are about', () => {
    const all = suggestions([honest], [], SETTINGS);
    assert.deepEqual(all.slice(0, 2), [
      '# Refused, and not let in since, as of 2026-12-01 14:03:00: the least suspicious',
      '# first.',
    ]);
    assert.ok(
      all.includes('# mail.honest-example.org: 12 times, from 5h to 2m ago; SPF pass'),
      all.join('\n'),
    );
    assert.match(suggestions([], [], { ...SETTINGS, isDry: true })[0] ?? '', /^# Would have been refused, /);
  });

  it('know the large senders of an example file, commented out or not', () => {
    const text =
      '# Large senders\n#allow-domain large-example.com\nallow-domain Other-Example.com  # x\nallow 1.2.3.4\n';
    assert.deepEqual([...largeSendersIn(text)], ['large-example.com', 'other-example.com']);
  });
});

describe('the table of those who were refused', () => {
  it('has those first who are kept out, the most refused of them first, within 80 columns', () => {
    const rows = refusedTable(
      [
        named('198.51.100.7', 'mail.in-example.org', 'pass', { isIn: 'yes', count: 99 }),
        named('198.51.100.8', 'mx.out-example.org', 'softfail', { count: 2 }),
        sender('2001:db8:1234:5678::/64', { count: 7 }),
        sender('198.51.100.9', { count: 1, name: 'no.example.net', isConfirmed: false, isIn: 'next' }),
      ],
      [
        domain('one-example.org', 1),
        domain('many-example.org', 14),
        domain('in-example.org', 3, { isIn: true }),
      ],
      false,
      80,
    );
    assert.deepEqual(rows, [
      'ADDRESS                  TIMES  FIRST  LAST  IN    SPF       NAME',
      '2001:db8:1234:5678::/64      7     5h    2m  no',
      '198.51.100.8                 2     5h    2m  no    softfail  mx.out-example.org',
      '198.51.100.7                99     5h    2m  yes   pass      mail.in-example.org',
      '198.51.100.9                 1     5h    2m  next            no.example.net (?)',
      '4 senders, 2 of them not in since',
      '',
      'DOMAIN            TIMES  ADDRESSES  FIRST  LAST  IN',
      'many-example.org     40         14     5h    2m  no',
      'in-example.org       40          3     5h    2m  yes',
      '',
      'FIRST, LAST: how long ago. IN since then: yes; next: its next SYN would get in;',
      'no.',
    ]);
  });

  it('tells how many were redirected, where some were', () => {
    const rows = refusedTable(
      [
        sender('2001:db8:1234:5678::/64', {
          count: 700,
          redirected: 700,
          spf: 'softfail',
          name: 'mx.example.org',
        }),
        sender('198.51.100.9', { count: 5 }),
      ],
      [],
      false,
      80,
    );
    assert.deepEqual(rows, [
      'ADDRESS                  TIMES  LED  FIRST  LAST  IN  SPF       NAME',
      '2001:db8:1234:5678::/64    700  700     5h    2m  no  softfail  mx.example.or...',
      '198.51.100.9                 5    0     5h    2m  no',
      '2 senders, 2 of them not in since',
      '',
      'FIRST, LAST: how long ago. IN since then: yes; next: its next SYN would get in;',
      'no.',
      'LED: how many of them were redirected (strangers); what became of those, the log',
      'of that mail server tells.',
    ]);
    const some = named('198.51.100.7', 'mail.led-example.org', 'pass', { redirected: 3 });
    assert.match(
      suggestions([some], [], SETTINGS).join('\n'),
      /led-example\.org: 12 times \(3 redirected\), from /,
    );
    const all = { ...some, redirected: 12 };
    assert.match(
      suggestions([all], [], SETTINGS).join('\n'),
      /led-example\.org: 12 times \(redirected\), from /,
    );
  });

  it('says when nobody is refused for now', () => {
    const passed = sender('198.51.100.9', { passed: 12 });
    assert.match(refusedTable([passed], [], true, 80).join('\n'), /Nobody is refused for now \(dry-run\)/);
    assert.match(refusedTable([passed], [], false, 80).join('\n'), /Some got in all the same/);
    assert.deepEqual(refusedTable([], [], false, 80), ['nobody']);
  });
});
