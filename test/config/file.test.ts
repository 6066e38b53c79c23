import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { resolveConfig } from '../../src/config/config.js';
import { parseConfigFile } from '../../src/config/file.js';
import { OPTION_LIST } from '../../src/config/options.js';
import { formatProblem } from '../../src/config/problem.js';
import { packageFolder } from '../../src/version.js';

/** What a text gives, in short: `key` or `key=value`, and the problems and remarks as an administrator sees them. */
function read(text: string): { given: string[]; problems: string[]; remarks: string[] } {
  const { given, problems, remarks } = parseConfigFile('mx.conf', text);
  return {
    given: given.map((item) => (item.text === undefined ? item.key : `${item.key}=${item.text}`)),
    problems: problems.map(formatProblem),
    remarks: remarks.map(formatProblem),
  };
}

describe('a line of the configuration file', () => {
  const good: readonly (readonly [string, string, string])[] = [
    ['has a name, a blank and a value', 'whitelist-time 60', 'whitelistTime=60'],
    ['may have tabs between', 'whitelist-time\t\t60', 'whitelistTime=60'],
    ['may have blanks and tabs mixed', 'whitelist-time \t 60', 'whitelistTime=60'],
    ['may be indented', ' \t whitelist-time 60', 'whitelistTime=60'],
    ['may end in blanks', 'whitelist-time 60 \t ', 'whitelistTime=60'],
    ['may end in CR and LF', 'whitelist-time 60\r', 'whitelistTime=60'],
    ['has a name without regard to case', 'Whitelist-TIME 60', 'whitelistTime=60'],
    ['has a value with regard to case', 'table MX-White', 'table=MX-White'],
    ['may be a switch', 'quiet', 'quiet'],
    ['may be a switch that ends in CR and LF', 'no-rdns-whitelist\r', 'noRdnsWhitelist'],
    ['may have a comment behind the value', 'whitelist-time 60 # a minute', 'whitelistTime=60'],
    ['may have a comment behind a switch', 'quiet # errors only', 'quiet'],
    ['keeps the whole of a filter', 'pcap-filter tcp and\tport 25', 'pcapFilter=tcp and\tport 25'],
    [
      'keeps a filter without the blanks around it',
      'pcap-filter \t port 25 or port 587 \r',
      'pcapFilter=port 25 or port 587',
    ],
  ];
  for (const [what, line, expected] of good) {
    it(what, () => {
      assert.deepEqual(read(`${line}\n`), { given: [expected], problems: [], remarks: [] });
    });
  }

  it('counts for nothing when it is empty, blank or a comment', () => {
    const text = '\n   \n\t\n\r\n# quiet\n   # stdout\n#\n#quiet\n';
    assert.deepEqual(read(text), { given: [], problems: [], remarks: [] });
  });

  it('need not end in a line feed', () => {
    assert.deepEqual(read('stdout\nquiet').given, ['stdout', 'quiet']);
  });

  it('may be given many times, and all of them are told in their order', () => {
    const text = 'fake-mailserver 192.0.2.3\nreal-mailserver 192.0.2.4\nfake-mailserver 2001:db8::3\n';
    assert.deepEqual(read(text).given, [
      'fakeMailserver=192.0.2.3',
      'realMailserver=192.0.2.4',
      'fakeMailserver=2001:db8::3',
    ]);
  });

  it('ends its value at the first blank, and what follows is ignored with a remark', () => {
    assert.deepEqual(read('\nwhitelist-time 60 seconds please\n'), {
      given: ['whitelistTime=60'],
      problems: [],
      remarks: ['mx.conf:2: what follows the value of whitelist-time is ignored: "seconds please"'],
    });
  });

  it('that would switch on what it says to switch off is wrong', () => {
    for (const word of ['no', 'off', 'False', '0']) {
      assert.deepEqual(read(`fail-open ${word}\n`).problems, [
        `mx.conf:1: fail-open takes no value, and "${word}" would switch it on: leave the line out`,
      ]);
    }
  });

  for (const [rest, isWrong] of [
    ['1 h', true],
    ['1 hour', true],
    ['2  Days # of grace', true],
    ['90 min.', true],
    ['1h 30m', true],
    ['1h 30 s', true],
    ['3 w', true],
    ['3600 s', false],
    ['3600 seconds', false],
    ['3600 hosts', false],
    ['3600 (an hour)', false],
    ['3600 # 1 h', false],
  ] as const) {
    it(`is ${isWrong ? 'wrong' : 'right'}: whitelist-time ${rest}`, () => {
      const { given, problems } = read(`whitelist-time ${rest}`);
      assert.equal(problems.length, Number(isWrong), problems.join());
      assert.equal(given.length, Number(!isWrong));
      if (isWrong) assert.match(problems[0] ?? '', /has a blank in it: times are written without, as 90m/);
    });
  }

  it('of an option that is no time may have such words behind it', () => {
    assert.deepEqual(read('max-entries 1 h').problems, []);
  });

  it('with a word behind a switch is ignored from that word on, with a remark', () => {
    assert.deepEqual(read('quiet yes\n'), {
      given: ['quiet'],
      problems: [],
      remarks: ['mx.conf:1: quiet takes no value, "yes" is ignored'],
    });
  });

  it('ends its value at a lone CR, too', () => {
    assert.deepEqual(read('whitelist-time 60\rquiet\n'), {
      given: ['whitelistTime=60'],
      problems: [],
      remarks: ['mx.conf:1: what follows the value of whitelist-time is ignored: "quiet"'],
    });
  });

  it('without the value that it needs is a problem', () => {
    assert.deepEqual(read('whitelist-time\nfake-mailserver   \ntable # mx-white\n'), {
      given: [],
      problems: [
        'mx.conf:1: whitelist-time needs a value (SEC)',
        'mx.conf:2: fake-mailserver needs a value (IP)',
        'mx.conf:3: table needs a value (NAME)',
      ],
      remarks: [],
    });
  });

  it('knows every name of 1.9', () => {
    const text = [
      'fake-mailserver 192.168.1.3',
      'real-mailserver 192.168.1.4',
      'whitelist-time 3600',
      'queue-num 23',
      'pflog-interface pflog0',
      'pcap-filter port 25',
      'no-rdns-whitelist',
      'stdout',
      'quiet',
    ];
    const { given, problems, remarks } = read(text.join('\r\n'));
    assert.equal(given.length, 9);
    assert.deepEqual([...problems, ...remarks], []);
  });

  it('says where it stands and where it comes from', () => {
    const { given } = parseConfigFile('/etc/mxallowd.conf', '# first\n\nquiet\n');
    assert.deepEqual(given, [
      { key: 'quiet', text: undefined, where: '/etc/mxallowd.conf:3', origin: 'file' },
    ]);
  });
});

describe('an unknown name in the configuration file', () => {
  it('is told in the words of 1.9, with the name that may be meant', () => {
    assert.deepEqual(read('fake-mailsever 192.0.2.3\n').problems, [
      'mx.conf:1: Unknown configfile option: fake-mailsever (did you mean "fake-mailserver"?)',
    ]);
  });

  it('is told without a guess when none is near', () => {
    assert.deepEqual(read('xyzzy 1\n').problems, ['mx.conf:1: Unknown configfile option: xyzzy']);
  });

  it('is what options of the command line only are', () => {
    const { problems } = read('foreground\nconfig /etc/other.conf\n');
    assert.equal(problems.length, 2);
    assert.match(problems[0] ?? '', /^mx\.conf:1: Unknown configfile option: foreground/);
    assert.match(problems[1] ?? '', /^mx\.conf:2: Unknown configfile option: config/);
  });

  it('is not a letter of the command line', () => {
    assert.equal(read('f 192.0.2.3\n').problems.length, 1);
  });

  it('cannot bring control characters to the terminal', () => {
    assert.deepEqual(read('\x1b[2J\xe9 1\n').problems, [
      'mx.conf:1: Unknown configfile option: \\x1b[2J\\xe9',
    ]);
  });
});

describe('the problems of a configuration file', () => {
  it('are told all at once, those of the form and those of the values, each with its line', () => {
    const text = [
      'fake-mailserver 192.0.2.300',
      'real-mailserver 192.0.2.4',
      'bogus-thing',
      'whitelist-time 0',
      'port',
      'table a/b',
      '',
    ].join('\n');
    const { given, problems } = parseConfigFile('mx.conf', text);
    const result = resolveConfig(given, problems, 'openbsd');
    assert.equal(result.ok, false);
    const messages = result.ok ? [] : result.problems.map(formatProblem);
    assert.deepEqual(messages.map((message) => message.replace(/^(mx\.conf:\d+): .*/, '$1')).sort(), [
      'mx.conf:1',
      'mx.conf:3',
      'mx.conf:4',
      'mx.conf:5',
      'mx.conf:6',
    ]);
    assert.ok(messages.includes('mx.conf:1: fake-mailserver: "192.0.2.300" is not an IPv4 or IPv6 address'));
    assert.ok(messages.includes('mx.conf:6: table: "a/b" is not a table name of at most 31 characters'));
  });

  it('never stop the reader, whatever the file holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const { given, problems, remarks } = parseConfigFile('mx.conf', text);
        const lines = text.split('\n').length;
        assert.ok(given.length + problems.length <= lines);
        for (const problem of [...problems, ...remarks]) {
          assert.match(formatProblem(problem), /^mx\.conf:\d+: [\x20-\x7e]+$/);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('the example files', () => {
  const folder = join(packageFolder(), 'examples');
  const example = readFileSync(join(folder, 'mxallowd.conf'), 'utf8');

  it('examples/large-senders.conf has lines that can be copied, each domain once', () => {
    const text = readFileSync(join(folder, 'large-senders.conf'), 'utf8');
    assert.deepEqual(parseConfigFile('large-senders.conf', text).given, [], 'all are comments');
    const lines = text.split('\n').flatMap((line) => /^#(allow-domain .*)$/.exec(line)?.[1] ?? []);
    const { given, problems, remarks } = parseConfigFile('large-senders.conf', lines.join('\n'));
    const servers = parseConfigFile('x', 'fake-mailserver 192.0.2.3\nreal-mailserver 192.0.2.4').given;
    const result = resolveConfig([...servers, ...given], [...problems, ...remarks], 'openbsd');
    assert.ok(result.ok);
    assert.equal(result.config.allowDomain.length, lines.length);
    assert.ok(lines.length >= 20);
  });

  for (const name of ['mxallowd.conf', 'recordings/mxallowd.conf']) {
    it(`examples/${name} is right as it stands`, () => {
      const { given, problems, remarks } = parseConfigFile(name, readFileSync(join(folder, name), 'utf8'));
      const result = resolveConfig(given, problems, 'openbsd');
      assert.deepEqual(result.ok ? [] : result.problems, []);
      assert.deepEqual(remarks, []);
      assert.equal(given.length, 4);
    });
  }

  it('examples/mxallowd.conf shows every option of the file but that for another tcpdump', () => {
    const shown = new Set(example.split('\n').map((line) => /^#?([a-z][a-z0-9-]*)/.exec(line)?.[1]));
    const missing = OPTION_LIST.filter(([, spec]) => spec.commandLineOnly !== true && !shown.has(spec.name));
    assert.deepEqual(missing.map(([key]) => key).sort(), ['tcpdump']);
  });

  it('examples/mxallowd.conf is right with everything that is commented out', () => {
    // one firewall's options are not another's
    const all = example.replace(/^#(?!firewall )([a-z][a-z0-9-]*( |$))/gm, '$1');
    const { given, problems, remarks } = parseConfigFile('mxallowd.conf', all);
    const result = resolveConfig(given, problems, 'linux');
    assert.deepEqual(result.ok ? [] : result.problems, []);
    assert.deepEqual(remarks, []);
    assert.ok(given.length > 15);
  });

  it('examples/mxallowd.conf shows the defaults where it does not say "for example"', () => {
    const defaults: [string, string][] = [];
    for (const block of example.split('\n\n')) {
      if (/for example/i.test(block)) continue;
      const line = /^#([a-z][a-z0-9-]*) (\S.*)$/m.exec(block);
      const [, name, value] = line ?? [];
      if (name !== undefined && value !== undefined) defaults.push([name, value]);
    }
    assert.ok(defaults.length >= 9, `${defaults.length} found`);
    // what the help says in words
    const DERIVED: Record<string, string> = { 'pcap-filter': 'port 25', 'queue-num': '23' };
    for (const [name, value] of defaults) {
      const spec = OPTION_LIST.find(([, { name: known }]) => known === name)?.[1];
      const expected = DERIVED[name] ?? spec?.defaultText;
      assert.equal(value, expected, name);
    }
  });
});
