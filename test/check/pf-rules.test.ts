/** The probe of pf, by what pfctl and pf.conf say: the part of it that is about rules. */
import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { pfProbe } from '../../src/check/pf.js';
import type { CheckContext } from '../../src/check/probe.js';
import type { Finding } from '../../src/pf/finding.js';
import { checkContext } from '../support/check-context.js';
import { linesOf, Scratch } from '../support/cli.js';
import { PfctlStandIn } from '../support/pfctl-harness.js';
import { type Flavour, FLAVOURS } from '../support/pfctl-state.js';
import { FREEBSD_RULES, OPENBSD_RULES } from '../support/printed-rules.js';

const scratch = new Scratch();
after(() => scratch.remove());

function testsOf(flavour: Flavour): void {
  const platform = flavour === 'openbsd' ? 'openbsd' : 'freebsd';
  const release = { openbsd: '7.8', freebsd: '10.4-RELEASE', freebsd15: '15.1-RELEASE' }[flavour];
  const rules = linesOf(flavour === 'openbsd' ? OPENBSD_RULES.replaceAll('egress', 'em0') : FREEBSD_RULES);
  let pfctl: PfctlStandIn;
  beforeEach(async () => {
    pfctl = await PfctlStandIn.create({ flavour });
    pfctl.update((state) => {
      state.rules = rules;
    });
  });
  afterEach(() => pfctl.dispose());

  async function findings(more: Partial<CheckContext> = {}): Promise<Map<string, Finding>> {
    const values = { pfctl: pfctl.path, fakeMailserver: '192.0.2.3', realMailserver: '192.0.2.4' };
    const found = await pfProbe.run(checkContext(values, { platform, release }, more));
    return new Map(found.map((one) => [one.id, one]));
  }

  it('is told that pf skips the interface where mail comes in', async () => {
    pfctl.update((state) => {
      state.skipped = ['lo', 'em0'];
    });
    const found = await findings();
    assert.deepEqual(found.get('rules-skip'), {
      id: 'rules-skip',
      severity: 'error',
      message: 'pf skips em0, where mail comes in: everybody is let in there, and nothing is logged',
      advice: 'take it out of "set skip on" in pf.conf',
    });
    assert.equal(found.get('rules-real'), undefined);
    pfctl.update((state) => {
      state.skipped = ['lo'];
    });
    const well = await findings();
    assert.deepEqual([well.get('rules-skip'), well.get('rules-real')?.severity], [undefined, 'ok']);
  });

  it('reads in pf.conf what pfctl does not show of fragments', async () => {
    const scrubless = rules.filter((rule) => !rule.startsWith('scrub'));
    pfctl.update((state) => {
      state.rules = scrubless;
    });
    const said = async (text: string): Promise<string> => {
      const pfConf = scratch.file(`${flavour}.conf`, text);
      const { severity, message } = (await findings({ pfConf })).get('rules-fragments') ?? assert.fail();
      return `${severity}: ${message.replaceAll(pfConf, 'PF.CONF')}`;
    };
    const included = scratch.file('rules.conf', 'set reassemble yes\n');
    const inFile = await said('# first\nset reassemble yes no-df\n');
    const inOther = await said(`include "${included}"\n`);
    const none = await said('set skip on lo\n');
    const no = await said('set reassemble yes\nset reassemble no\n');
    const unread = (await findings()).get('rules-fragments')?.severity;
    const open =
      'warning: fragments: a SYN in fragments, from anybody, gets past the rules to 192.0.2.4, unlogged';
    if (flavour === 'freebsd') {
      // it does not know the option
      assert.deepEqual([inFile, inOther, none, no, unread], [open, open, open, open, 'warning']);
      return;
    }
    const well = 'ok: fragments: a SYN in fragments does not get past the rules ("set reassemble yes", ';
    assert.equal(inFile, `${well}PF.CONF:2)`);
    assert.equal(inOther, `${well}${included}:1)`);
    if (flavour === 'freebsd15') assert.deepEqual([none, no, unread], [open, open, 'note']);
    else {
      assert.match(none, /^note: fragments: .* or said so once: that stays in force over a reload$/);
      assert.equal(no, `${open} ("set reassemble no", PF.CONF:2)`);
      assert.equal(unread, 'note');
    }
  });

  it('follows what leads mail elsewhere ahead of all rules', { skip: flavour === 'openbsd' }, async () => {
    pfctl.update((state) => {
      state.translations = [
        'rdr pass on em0 inet proto tcp from any to 192.0.2.4 port = smtp -> 192.0.2.4 port 8025',
      ];
    });
    const found = (await findings()).get('rules-real-block');
    assert.equal(found?.severity, 'error');
    assert.match(found.message, /^rules, real MX 192\.0\.2\.4: strangers are let in: "rdr pass on em0 /);
  });

  it('names a pfctl that hangs, and asks no more', async () => {
    pfctl.setFault({ mode: 'hang', only: 'info' });
    const times = { childMs: 500, connectMs: 0, greetingMs: 0, policyMs: 0 };
    const found = [...(await findings({ times })).values()];
    assert.deepEqual(
      found.map(({ id, severity }) => `${severity} ${id}`),
      ['error pf-hangs'],
    );
    const [{ message = '', advice = '' } = {}] = found;
    assert.match(
      message,
      /^pf: pfctl hangs \(-s info\), so neither rules nor table are checked: \S+ did not end within /,
    );
    assert.match(advice, flavour === 'openbsd' ? /"pfrke_p" has met the limit table-entries/ : /^ps -axl /);
    assert.equal(pfctl.calls().length, 1);
  });
}

for (const flavour of FLAVOURS) {
  describe(`rules, by the pfctl of ${flavour}`, () => testsOf(flavour));
}
