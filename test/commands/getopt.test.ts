import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { expandGetopt } from '../../src/commands/getopt.js';
import { OPTION_LIST } from '../../src/config/options.js';

/** A command line and what it means, both as one text; `|` stands for the blanks of a value. */
function expanded(line: string): string {
  return expandGetopt(line.split(' ').map((arg) => arg.replaceAll('|', ' '))).join(' ');
}

describe('a command line of getopt', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['a value behind its letter', '-f192.168.1.3', '-f 192.168.1.3'],
    ['a value behind its letter and a "="', '-f=192.168.1.3', '-f 192.168.1.3'],
    ['an IPv6 address behind its letter', '-r2001:db8::4', '-r 2001:db8::4'],
    ['a word behind its letter', '-ppflog1 -tsoon', '-p pflog1 -t soon'],
    ['letters without values in one', '-Fqs', '-F -q -s'],
    ['letters in one, the last with its value', '-Ft60', '-F -t 60'],
    ['letters in one, the last with its value in the next argument', '-Fqt 60 -s', '-F -q -t 60 -s'],
    ['letters behind a value belong to it', '-t60Fq', '-t 60Fq'],
    ['both letters of no-rdns-whitelist', '-bd', '-b -d'],
    ['only the first "=" is dropped', '-l==x', '-l =x'],
    ['a file behind its letter', '-c/etc/mx.conf -n23', '-c /etc/mx.conf -n 23'],
  ];
  for (const [what, line, expected] of cases) {
    it(`${what}: ${line}`, () => assert.equal(expanded(line), expected));
  }

  it('keeps a value with blanks in one piece', () => {
    assert.deepEqual(expandGetopt(['-lport 25']), ['-l', 'port 25']);
    assert.deepEqual(expandGetopt(['-Fl', 'port 25']), ['-F', '-l', 'port 25']);
  });

  const long: readonly (readonly [string, string])[] = [
    ['--fake-mail 192.168.1.3', '--fake-mailserver 192.168.1.3'],
    ['--fake=192.168.1.3', '--fake-mailserver=192.168.1.3'],
    ['--r 192.168.1.4', '--real-mailserver 192.168.1.4'],
    ['--white=60', '--whitelist-time=60'],
    ['--no', '--no-rdns-whitelist'],
    ['--fore', '--foreground'],
    ['--st --qui', '--stdout --quiet'],
    ['--que 23', '--queue-num 23'],
    ['--pf pflog1', '--pflog-interface pflog1'],
    ['--pc port', '--pcap-filter port'],
    ['--con /etc/mx.conf', '--config /etc/mx.conf'],
    ['--he', '--help'],
  ];
  for (const [line, expected] of long) {
    it(`a long name may be cut short: ${line}`, () => assert.equal(expanded(line), expected));
  }

  it('leaves an option of a command alone that begins such a name, with that command only', () => {
    for (const line of ['allow 192.0.2.1 --for 1d', '--for=1d allow 192.0.2.1']) {
      assert.equal(expanded(line), line);
    }
    assert.equal(expanded('--for'), '--foreground');
    assert.equal(expanded('--for -- allow'), '--foreground -- allow');
  });

  it('keeps every "=" of a value behind a name that was cut short', () => {
    assert.equal(expanded('--pcap=tcp[13]=2'), '--pcap-filter=tcp[13]=2');
  });

  it('leaves a name alone that may be one of two', () => {
    for (const line of ['--f x', '--q', '--p x', '--', '--qu']) assert.equal(expanded(line), line);
  });

  it('leaves a name alone that is whole, also when it begins another one', () => {
    for (const line of ['--port 25', '--table x', '--pfctl /sbin/pfctl', '--log-level info']) {
      assert.equal(expanded(line), line);
    }
  });

  it('leaves names that 1.9 did not have alone: only their whole form is good', () => {
    for (const line of ['--allo 10.0.0.1', '--capt pcap', '--json', '--summary', '--verbose', '--version']) {
      assert.equal(expanded(line), line);
    }
  });

  it('takes letters apart that are no options of the daemon, too', () => {
    for (const line of ['-z', '-v', '-h']) assert.equal(expanded(line), line);
    assert.equal(expanded('-zF'), '-z -F');
    assert.equal(expanded('-hV'), '-h -V');
  });

  it('puts the command first, wherever it stands, unless it is the value of an option', () => {
    const names = ['list', 'check-config'];
    const ordered = (line: string): string => expandGetopt(line.split(' '), names).join(' ');
    assert.equal(ordered('-Ft60 check-config -s'), 'check-config -F -t 60 -s');
    assert.equal(ordered('--table list check-config list'), 'check-config --table list list');
    for (const line of ['-c list', '--config list', '--conf=list', '-F -- list', 'chek-config']) {
      assert.equal(ordered(line), line.replace('--conf=', '--config='));
    }
  });

  it('leaves everything alone behind "--"', () => {
    assert.equal(expanded('-Fq -- -Fq --fake-mail -f1.2.3.4'), '-F -q -- -Fq --fake-mail -f1.2.3.4');
  });

  it('takes a value that looks like options as a value', () => {
    assert.deepEqual(expandGetopt(['-l', '-Fq', '-s']), ['-l', '-Fq', '-s']);
    assert.deepEqual(expandGetopt(['-Fl', '-bd']), ['-F', '-l', '-bd']);
    assert.deepEqual(expandGetopt(['-t', '-5']), ['-t', '-5']);
    assert.deepEqual(expandGetopt(['-l-Fq']), ['-l', '-Fq']);
    assert.deepEqual(expandGetopt(['-c', '--fake-mail']), ['-c', '--fake-mail']);
  });

  it('leaves a single dash alone: it is standard input', () => {
    assert.equal(expanded('replay - -F'), 'replay - -F');
  });

  it('does not take "--" for a value', () => {
    assert.deepEqual(expandGetopt(['-t', '--', '-Fq']), ['-t', '--', '-Fq']);
    assert.deepEqual(expandGetopt(['-Ft', '--', 'x']), ['-F', '-t', '--', 'x']);
  });

  it('adds nothing for a letter whose value is missing', () => {
    assert.deepEqual(expandGetopt(['-F', '-t']), ['-F', '-t']);
    assert.deepEqual(expandGetopt(['-Ft']), ['-F', '-t']);
  });

  it('never changes what has no form of getopt', () => {
    const specs = OPTION_LIST.map(([, spec]) => spec);
    const value = fc.string({ minLength: 1 }).filter((text) => !text.startsWith('-'));
    const word = fc.string().filter((text) => !text.startsWith('-'));
    const longOption = fc
      .tuple(fc.constantFrom(...specs), value, fc.boolean())
      .map(([{ name, value: takes }, text, joined]) => {
        if (takes === undefined) return [`--${name}`];
        return joined ? [`--${name}=${text}`] : [`--${name}`, text];
      });
    const letterOption = fc
      .tuple(fc.constantFrom(...specs.filter(({ letters }) => letters !== undefined)), value)
      .map(([{ letters, value: takes }, text]) => {
        const [letter = ''] = letters ?? [];
        return takes === undefined ? [`-${letter}`] : [`-${letter}`, text];
      });
    const piece = fc.oneof(
      longOption,
      letterOption,
      word.map((text) => [text]),
    );
    fc.assert(
      fc.property(fc.array(piece), fc.array(fc.string()), fc.boolean(), (pieces, behind, hasEnd) => {
        const args = [...pieces.flat(), ...(hasEnd ? ['--', ...behind] : [])];
        assert.deepEqual(expandGetopt(args), args);
      }),
    );
  });

  it('means the same after it was rewritten once', () => {
    const arg = fc.oneof(
      fc.constantFrom('-Fq', '-Ft60', '-bd', '--fake-mail', '--q', '-f1.2.3.4', '-t', '-z', '--', 'x'),
      // no letter of an option is a blank, or a dash
      fc.string().filter((text) => !/^-[^-]*[ -]/.test(text)),
    );
    fc.assert(
      fc.property(fc.array(arg), (args) => {
        const once = expandGetopt(args);
        assert.deepEqual(expandGetopt(once), once);
      }),
    );
  });
});
