import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { addInclude, type Placed, pointInclude, removeInclude } from '../../src/pf/include.js';
import { type IncludeSpec } from '../../src/pf/conf.js';

const RULES = '/etc/pf.mxallowd.conf';
const INCLUDE = `include "${RULES}" # mxallowd pf-conf\n`;
const SCRUB = 'scrub in on em0 all fragment reassemble # mxallowd pf-conf\n';
const OPENBSD: IncludeSpec = {
  system: 'openbsd',
  file: '/etc/pf.conf',
  rules: RULES,
  table: 'mx-white',
  port: 25,
  interfaces: ['egress'],
};
const FREEBSD: IncludeSpec = { ...OPENBSD, system: 'freebsd', interfaces: ['em0'] };
const SPECS = { OpenBSD: OPENBSD, FreeBSD: FREEBSD };
type Files = Readonly<Record<string, string>>;

function add(text: string, spec: IncludeSpec, files: Files = {}): Placed {
  return addInclude(text, spec, (path) => files[path]);
}

function added(text: string, spec: IncludeSpec, files: Files = {}): Placed & { ok: true } {
  const placed = add(text, spec, files);
  if (!placed.ok) assert.fail(placed.reasons.join('\n'));
  return placed;
}

/** Takes the lines out that this `|` marks, and expects them to be what is put in. */
function assertPlaced(marked: string, spec: IncludeSpec, files: Files = {}): void {
  const before = marked.replace(/^[IS]\|\n/gm, '');
  const after = marked.replace(/^I\|\n/gm, INCLUDE).replace(/^S\|\n/gm, SCRUB);
  const placed = added(before, spec, files);
  assert.equal(placed.text, after);
  assert.equal(added(after, spec, files).text, after, 'not once only');
  assert.equal(removeInclude(after, RULES), before, 'not as before');
}

const OPENBSD_DEFAULT = `# See pf.conf(5) and /etc/examples/pf.conf

set skip on lo

block return\t# block stateless traffic
pass\t\t# establish keep-state

# By default, do not permit remote connections to X11
block return in on ! lo0 proto tcp to port 6000:6010

# Port build user does not need network
block return out log proto {tcp udp} user _pbuild
`;

describe('the include goes into a pf.conf of OpenBSD', () => {
  const cases: [string, string][] = [
    ['at the end where no rule is quick, as in the default file', `${OPENBSD_DEFAULT}I|\n`],
    ['into an empty file', 'I|\n'],
    ['behind a file of comments', '# nothing yet\nI|\n'],
    [
      'ahead of the first quick rule, behind match rules and those that are not quick',
      'match in all scrub (no-df random-id max-mss 1440)\nblock\nI|\n\n# ssh\npass in quick proto tcp to port 22\npass out\n',
    ],
    [
      'ahead of an anchor, which may have quick rules',
      'set skip on lo\nblock\nI|\nanchor "relayd/*"\npass\n',
    ],
    [
      'ahead of a block of rules',
      'block\nI|\nanchor in on egress {\n  pass quick proto tcp to port { 80\n 443 }\n}\npass\n',
    ],
    [
      'behind quick rules that keep abusers out',
      'table <bad> persist\nblock in quick from <bad>\nantispoof quick for egress\nblock in quick from urpf-failed\nI|\npass in quick\n',
    ],
    [
      'ahead of a quick block that is not for some sources only',
      'block\nI|\nblock in quick on egress proto tcp to port 25\n',
    ],
    ['ahead of a quick block for all but some', 'I|\nblock in quick from ! <good>\n'],
    ['ahead of a quick rule that a macro makes quick', 'q = "log quick"\nblock\nI|\npass in $q proto tcp\n'],
    ['ahead of a quick rule on a joined line', 'block\nI|\npass in \\\n  quick\n'],
    ['not ahead of a comment that says quick', 'block # quick\n# pass quick\npass label "quick"\nI|\n'],
    ['ahead of options that come late', 'block\nI|\npass quick\nset limit states 20000\n'],
    [
      'ahead of rules for spamd',
      'I|\npass in quick on egress proto tcp to port smtp divert-to 127.0.0.1 port spamd\n',
    ],
    ['below what heads the file', '# our firewall\n#\nI|\npass quick\n'],
    ['above what heads the rule', '# our firewall\n\nI|\n# all in\npass quick\n'],
    ['ahead of a file that cannot be read', 'block\nI|\ninclude "/etc/pf.local"\n'],
  ];
  for (const [name, text] of cases) it(name, () => assertPlaced(text, OPENBSD));

  it('by what the files say that it includes', () => {
    const text = 'include "/etc/pf.macros"\ninclude "/etc/pf.early"\nI|\ninclude "/etc/pf.late"\npass\n';
    assertPlaced(text, OPENBSD, {
      '/etc/pf.macros': 'q = "quick"\n',
      '/etc/pf.early': 'block\n',
      '/etc/pf.late': 'include "/etc/pf.deep"\n',
      '/etc/pf.deep': 'pass in $q\n',
    });
  });

  it('ahead of files that include each other', () => {
    assertPlaced('I|\ninclude "/etc/a"\n', OPENBSD, { '/etc/a': 'include "/etc/a"\n' });
  });

  it('at the end of a file whose last line has no newline, and leaves it so', () => {
    const before = 'block\npass';
    const { text } = added(before, OPENBSD);
    assert.match(
      text,
      /^block\npass\ninclude "\/etc\/pf\.mxallowd\.conf" # mxallowd pf-conf \(with the newline/,
    );
    assert.equal(added(text, OPENBSD).text, text);
    assert.equal(removeInclude(text, RULES), before);
    assert.equal(removeInclude(`${text}pass out\n`, RULES), 'block\npass\npass out\n');
  });

  it('with the newlines that the file has', () => {
    const { text } = added('block\r\npass quick\r\n', OPENBSD);
    assert.equal(text, `block\r\n${INCLUDE.trim()}\r\npass quick\r\n`);
    assert.equal(removeInclude(text, RULES), 'block\r\npass quick\r\n');
  });

  it('and bytes beyond ASCII stay', () => {
    assertPlaced('# K\xfcche \xff\nblock\nI|\npass quick label "\xe4"\n', OPENBSD);
  });
});

describe('the include goes into a pf.conf of FreeBSD, and the scrub line', () => {
  const cases: [string, string][] = [
    ['into an empty file', 'S|\nI|\n'],
    ['into one with filter rules', 'ext = "em0"\nset skip on lo0\nS|\nblock in\npass out\nI|\n'],
    [
      'ahead of nat and rdr the one, behind them the other',
      'set skip on lo0\nscrub in all\nS|\n\n# NAT\nnat on em0 from 10.0.0.0/8 to any -> (em0)\nrdr on em0 proto tcp to port 80 -> 10.0.0.2\n\nblock in\nI|\n# web\npass in quick proto tcp to port 80\n',
    ],
    [
      'ahead of the first nat line where there is no option',
      'ext = "em0"\nS|\n\nnat on $ext -> ($ext)\nI|\npass in quick\n',
    ],
    [
      'behind the anchor of blacklistd',
      'S|\nI|\npass quick\n'.replace('S|\nI|\n', 'S|\nanchor "blacklistd/*" in on em0\nI|\n'),
    ],
    ['ahead of queues', 'set skip on lo0\nS|\naltq on em0 cbq queue { q }\nqueue q\npass\nI|\n'],
    [
      'into one without order',
      'set require-order no\nS|\nblock\nI|\npass quick\nrdr on em0 proto tcp to port 80 -> 10.0.0.2\n',
    ],
  ];
  for (const [name, text] of cases) it(name, () => assertPlaced(text, FREEBSD));

  it('which is not written where it is already', () => {
    const text = 'ext = "em0"\nscrub in on $ext all fragment reassemble\nblock\n';
    assert.equal(added(text, FREEBSD).text, text + INCLUDE);
  });

  it('which is changed in its place for another interface', () => {
    const text = `set skip on lo0\n${SCRUB}nat on em1 -> (em1)\nblock\n${INCLUDE}`;
    const changed = added(text, { ...FREEBSD, interfaces: ['em1', 'em2'] }).text;
    assert.equal(changed, text.replace('on em0 all', 'on { em1 em2 } all'));
  });

  it('or not, where its order does not allow it', () => {
    for (const text of [
      'pass quick\nnat on em0 -> (em0)\n',
      `nat on em0 -> (em0)\nset skip on lo0\n`,
      'include "/etc/mixed"\n',
    ]) {
      const placed = add(text, FREEBSD, { '/etc/mixed': 'nat on em0 -> (em0)\npass quick\n' });
      assert.ok(!placed.ok, text);
      assert.match(
        placed.reasons.join('\n'),
        /write these lines yourself.*\n +scrub in on em0 all.*\n.*\n +include "\/etc/,
      );
    }
  });
});

describe('an include that is there', () => {
  const forms = [
    `include "${RULES}"\n`,
    `\t  include   '${RULES}'   # by hand\n`,
    `include \\\n  "${RULES}"\n`,
    `rules = "${RULES}"\ninclude "${RULES}" # $rules\n`,
  ];
  for (const form of forms) {
    it(`is found, left and removed: ${JSON.stringify(form)}`, () => {
      const text = `block\n${form}pass quick\n`;
      assert.equal(added(text, OPENBSD).text, text);
      assert.equal(removeInclude(text, RULES), text.replace(/^[ \t]*include[^]*?(?<!\\)\n/m, ''));
    });
  }

  it('is not one in a comment, or of another file', () => {
    const text = `# include "${RULES}"\ninclude "${RULES}.old"\n`;
    assert.notEqual(added(text, OPENBSD, { [`${RULES}.old`]: '' }).text, text);
    assert.equal(removeInclude(text, RULES), text);
  });

  it('may come too late, which is said', () => {
    const { advice } = added(`pass in quick\n${INCLUDE}`, OPENBSD);
    assert.deepEqual(advice, [
      '/etc/pf.conf:1: this comes before the rules for mxallowd, and may decide about mail',
    ]);
  });

  it('can be led to another file for a check, with the numbers of lines kept', () => {
    const text = `block\ninclude \\\n "${RULES}" # x\npass\n`;
    assert.equal(pointInclude(text, RULES, '/tmp/x'), 'block\ninclude "/tmp/x"\n\npass\n');
  });
});

describe('the include is refused', () => {
  const cases: [string, string, RegExp][] = [
    [
      'where the file is not finished',
      'block\npass to { 192.0.2.1\n',
      /^\/etc\/pf\.conf:2: what begins here/,
    ],
    ['where the last line goes on', 'pass \\\n', /^\/etc\/pf\.conf:1: /],
    [
      'where there are rules for the table',
      'block\npass in quick from <mx-white>\n',
      /pf\.conf:2: a rule for <mx-white> is there already/,
    ],
    ['inside a block', `anchor in {\n include "${RULES}"\n}\n`, /pf\.conf:1: includes .* line of its own/],
    ['where fragments get through', 'set reassemble no\n', /pf\.conf:1: with "set reassemble no"/],
  ];
  for (const [name, text, reason] of cases) {
    it(name, () => {
      const placed = add(text, OPENBSD);
      assert.ok(!placed.ok);
      assert.equal(placed.reasons.length, 1);
      assert.match(placed.reasons[0] ?? '', reason);
    });
  }

  it('where an included file has rules for the table, or the include', () => {
    const text = 'include "/etc/mxallowd.pf.conf"\n';
    const byRules = add(text, OPENBSD, {
      '/etc/mxallowd.pf.conf': '\npass in quick from <mx-white> to any\n',
    });
    assert.deepEqual(!byRules.ok && byRules.reasons, [
      '/etc/mxallowd.pf.conf:2: a rule for <mx-white> is there already: take the old rules out first',
    ]);
    const byInclude = add(text, OPENBSD, { '/etc/mxallowd.pf.conf': INCLUDE });
    assert.ok(!byInclude.ok);
    assert.match(byInclude.reasons[0] ?? '', /^\/etc\/mxallowd\.pf\.conf:1: includes/);
  });
});

describe('what pf.conf says itself', () => {
  it('is known: the table, and fragments', () => {
    assert.deepEqual(added('block\n', OPENBSD).present, { table: false, reassembly: false });
    assert.deepEqual(added('table <mx-white> persist\nset reassemble yes no-df\n', OPENBSD).present, {
      table: true,
      reassembly: true,
    });
    assert.deepEqual(added('table <other> persist\n', FREEBSD).present, { table: false, reassembly: true });
  });

  const advice: [keyof typeof SPECS, string, RegExp | undefined][] = [
    ['OpenBSD', 'set skip on { lo egress }\n', /:1: pf skips the interface/],
    ['OpenBSD', 'set skip on lo\n', undefined],
    ['OpenBSD', 'table <mx-white> persist { 192.0.2.9 }\n', /sets <mx-white> back to this list/],
    ['OpenBSD', 'table <mx-white>\n', /should be "persist"/],
    [
      'OpenBSD',
      'pass in on egress proto tcp to port smtp divert-to 127.0.0.1 port spamd\n',
      /no longer gets here/,
    ],
    ['OpenBSD', 'match in on egress proto tcp to port 25 rdr-to 10.0.0.4\n', /redirects mail/],
    ['OpenBSD', 'match in on egress proto tcp to port 80 rdr-to 10.0.0.4\n', undefined],
    ['FreeBSD', 'rdr on em0 proto tcp to port smtp -> 10.0.0.4\n', /rdr comes before the rules/],
    ['FreeBSD', 'rdr pass on em0 proto tcp to port 25 -> 10.0.0.4\n', /"rdr pass" leads mail past all rules/],
    ['FreeBSD', 'rdr on em0 proto tcp to port 443 -> 10.0.0.4\n', undefined],
    ['FreeBSD', 'no scrub in on em0\n', /gets past the rules in fragments/],
  ];
  for (const [system, text, expected] of advice) {
    it(`${expected === undefined ? 'is no cause for' : 'is cause for'} advice on ${system}: ${text.trim()}`, () => {
      const told = added(text, SPECS[system]).advice;
      if (expected === undefined) assert.deepEqual(told, []);
      else assert.match(told.join('\n'), expected);
    });
  }
});

describe('whatever pf.conf holds', () => {
  const piece = fc.constantFrom(
    ...[
      'pass',
      'block',
      'quick',
      'set',
      'skip',
      'nat',
      'scrub',
      'include',
      'anchor',
      'match',
      'table',
      'm',
      '=',
    ],
    ...['"', "'", '{', '}', '#', '\\', '\n', '\n', '\n', '\r\n', ' ', '\t', '<t>', '$m', '"/x"', '\xe4'],
    ...[INCLUDE.slice(0, -1), `# mxallowd pf-conf`],
  );
  const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));

  for (const [system, spec] of Object.entries(SPECS)) {
    it(`the include goes in once, and comes out without a trace (${system})`, () => {
      fc.assert(
        fc.property(text, (before) => {
          const placed = add(before, spec);
          if (!placed.ok) return;
          assert.deepEqual(add(placed.text, spec), { ...placed, advice: addedAdvice(placed.text, spec) });
          const removed = removeInclude(placed.text, RULES);
          const isFresh = removeInclude(before, RULES) === before;
          // FreeBSD's pfctl wants a newline at the end
          if (isFresh)
            assert.ok(
              [before, `${before}\n`, `${before}\r\n`]
                .slice(0, system === 'FreeBSD' ? 3 : 1)
                .includes(removed),
            );
          assert.equal(removeInclude(removed, RULES), removed);
        }),
        { numRuns: 3000 },
      );
    });
  }

  function addedAdvice(before: string, spec: IncludeSpec): readonly string[] {
    const placed = add(before, spec);
    return placed.ok ? placed.advice : [];
  }
});
