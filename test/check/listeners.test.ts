/** The probe of the real MX: a refusal is of who is not there, or pf's. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { realProbe } from '../../src/check/listeners.js';
import type { Machine } from '../../src/check/machine.js';
import { checkContext } from '../support/check-context.js';
import { address } from '../support/observations.js';
import { PfctlStandIn } from '../support/pfctl-harness.js';

describe('a real MX that refuses', () => {
  let pfctl: PfctlStandIn;
  let port = 0;
  before(async () => {
    pfctl = await PfctlStandIn.create({ flavour: 'openbsd' });
    // a port that nobody has
    const server = createServer().listen(0, '127.0.0.4');
    await once(server, 'listening');
    ({ port } = server.address() as { port: number });
    server.close();
  });
  after(() => pfctl.dispose());

  const OWN: Partial<Machine> = { addresses: new Map([[address('127.0.0.4'), 'vio0']]) };

  async function said(rules: readonly string[], skipped: readonly string[], machine = OWN): Promise<string> {
    pfctl.update((state) => {
      state.rules = rules.map((rule) => rule.replaceAll('PORT', String(port)));
      state.skipped = skipped;
    });
    const values = { pfctl: pfctl.path, realMailserver: '127.0.0.4', port: String(port) };
    const [finding, ...more] = await realProbe.run(checkContext(values, machine));
    assert.deepEqual(more, []);
    return `${finding?.severity} ${finding?.message.replaceAll(String(port), 'PORT')}`;
  }

  const RETURN = 'block return in log proto tcp from any to 127.0.0.4 port = PORT';
  const NOBODY = 'error real MX 127.0.0.4: nothing listens on its port PORT';
  const BY_PF = `note real MX 127.0.0.4: pf refuses port PORT to this machine, too, by "${RETURN}": who listens there is not seen`;

  it('is not there, where pf does not look at what this machine asks itself', async () => {
    assert.equal(await said([RETURN], ['lo']), NOBODY);
    assert.equal(await said([RETURN.replace('proto', 'on vio0 proto')], []), NOBODY);
    assert.equal(await said([RETURN.replace('return', 'drop')], []), NOBODY);
    assert.equal(await said([], []), NOBODY);
  });

  it('may be there, where pf refuses', async () => {
    assert.equal(await said([RETURN], []), BY_PF);
    assert.equal(
      await said(['block return all', 'pass out all flags S/SA'], []),
      BY_PF.replace(RETURN, 'block return all'),
    );
  });

  it('is not there, where pf lets this machine through', async () => {
    assert.equal(await said(['block return all', 'pass all flags S/SA'], []), NOBODY);
    assert.equal(await said([RETURN, 'pass in from 127.0.0.0/8 to any flags S/SA'], []), NOBODY);
  });

  it('is in doubt, where a rule is', async () => {
    assert.equal(
      await said([RETURN, 'pass in all flags S/SA tagged OWN'], []),
      `warning real MX 127.0.0.4: port PORT refuses: nothing listens there, or pf refuses, by "${RETURN}"`,
    );
  });

  it('is elsewhere: then what goes out counts', async () => {
    const elsewhere = { addresses: new Map() };
    assert.equal(await said([RETURN], [], elsewhere), NOBODY);
    const out = RETURN.replace(' in ', ' out ');
    assert.equal(await said([out], [], elsewhere), BY_PF.replace(RETURN, out));
  });

  it('is in doubt, where pf cannot be asked', async () => {
    const context = checkContext(
      { pfctl: '/nonexistent', realMailserver: '127.0.0.4', port: String(port) },
      OWN,
    );
    const [finding] = await realProbe.run(context);
    assert.equal(
      finding?.message,
      `real MX 127.0.0.4: port ${port} refuses: nothing listens there, or pf, which cannot be asked, refuses`,
    );
    assert.equal(finding.severity, 'warning');
  });
});
