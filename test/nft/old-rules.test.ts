import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { withoutOldRules } from '../../src/nft/old-rules.js';
import { packageFolder } from '../../src/version.js';

/** examples/nftables.conf as 2.0.0 has it. */
const EXAMPLE = readFileSync(
  join(packageFolder(), 'test', 'fixtures', 'nft', '2.0.0-nftables.conf'),
  'latin1',
);
const DEBIAN =
  '#!/usr/sbin/nft -f\n\nflush ruleset\n\ntable inet filter {\n\tchain input {\n' +
  '\t\ttype filter hook input priority filter; policy accept; # mxallowd is below\n\t}\n}\n';

describe("2.0.0's rules in a file of nft", () => {
  it('go with their remarks, and all else stays', () => {
    const { removed, text } = withoutOldRules(`${DEBIAN}\n${EXAMPLE}\n# mine\ntable inet mine {\n}\n`);
    assert.doesNotMatch(text, /queue|inet mxallowd|Nolisting/);
    assert.ok(text.startsWith(DEBIAN));
    assert.match(text, /# mine\ntable inet mine \{\n\}\n$/);
    assert.ok(removed.includes('delete table inet mxallowd'));
  });

  it('go where somebody has put them in by hand, or by an include', () => {
    const hand = 'table inet mxallowd {\n\tchain input {\n\t\t# { unbalanced\n\t\tqueue to 23\n\t}\n}';
    assert.equal(withoutOldRules(`${DEBIAN}${hand}\n`).text, DEBIAN);
    const include = 'include "/usr/lib/node_modules/mxallowd/examples/nftables.conf"';
    assert.equal(withoutOldRules(`${DEBIAN}${include}\n`).text, DEBIAN);
  });

  it('are not there: nothing changes', () => {
    for (const text of ['', DEBIAN, 'table inet mxallowd2 {\n}\n', '# table inet mxallowd\n']) {
      assert.deepEqual(withoutOldRules(text), { removed: [], text });
    }
  });
});
