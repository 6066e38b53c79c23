import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { pfProbe } from '../../src/check/pf.js';
import type { CheckContext } from '../../src/check/probe.js';
import { type Given, resolveConfig } from '../../src/config/config.js';
import { PfctlStandIn } from '../support/pfctl-harness.js';
import { addresses, HANGS_MS } from '../support/writing.js';

describe('the probe of pf, on FreeBSD', () => {
  let pfctl: PfctlStandIn;
  beforeEach(async () => {
    pfctl = await PfctlStandIn.create({ flavour: 'freebsd15' });
    setListable(65_535);
  });
  afterEach(() => pfctl.dispose());

  /** sysctl(8) says so from now on; undefined: it knows no such variable. */
  function setListable(count: number | undefined): void {
    const answer =
      count === undefined ? 'exit 1' : `[ "$*" = "-n net.pf.request_maxcount" ] && echo ${count}`;
    writeFileSync(join(pfctl.directory, 'sysctl'), `#!/bin/sh\n${answer}\n`, { mode: 0o755 });
  }

  async function found(id: string, ...more: [Given['key'], string][]): Promise<string[]> {
    const given: [Given['key'], string][] = [
      ['fakeMailserver', '192.0.2.3'],
      ['realMailserver', '192.0.2.4'],
      ['pfctl', pfctl.path],
      ...more,
    ];
    const result = resolveConfig(
      given.map(([key, text]) => ({ key, text, where: '', origin: 'command line' })),
      [],
      'freebsd',
    );
    if (!result.ok) throw new Error(JSON.stringify(result.problems));
    const context: CheckContext = {
      config: result.config,
      configPath: undefined,
      domains: [],
      pfConf: '/nonexistent',
      machine: {
        platform: 'freebsd',
        architecture: 'x64',
        release: '15.1-RELEASE',
        isRoot: true,
        searchPath: pfctl.directory,
        interfaces: undefined,
        addresses: new Map(),
        forwards: { 4: false, 6: false },
        unit: undefined,
      },
      times: { childMs: HANGS_MS, connectMs: 0, greetingMs: 0, policyMs: 0 },
    };
    const findings = await pfProbe.run(context);
    return findings
      .filter((finding) => finding.id === id)
      .map(
        ({ severity, message, advice }) =>
          `${severity}: ${message}${advice === undefined ? '' : ` (${advice})`}`,
      );
  }

  it('warns beforehand when more entries may come than can be listed, and names the sysctl and its file', async () => {
    assert.deepEqual(await found('table-list'), [
      'warning: table list: FreeBSD lists up to 65535 addresses of a table (net.pf.request_maxcount), of which ' +
        'mxallowd uses 64224 at most; max-entries is 100000 (sysctl net.pf.request_maxcount=200000, and ' +
        'net.pf.request_maxcount=200000 in /etc/sysctl.conf for the next boot; or set max-entries lower)',
    ]);
  });

  it('counts what "allow" names, too', async () => {
    const fits = await found('table-list', ['maxEntries', '64224']);
    assert.match(fits.join(), /^ok: table list: FreeBSD lists up to 65535/);
    const [warning = '', ...others] = await found(
      'table-list',
      ['maxEntries', '64224'],
      ['allow', '198.51.100.0/24'],
    );
    assert.deepEqual(others, []);
    assert.match(warning, /^warning: .*; max-entries is 64224, and 1 more are by "allow" \(sysctl /);
  });

  it('is content with a larger one, and silent where there is none', async () => {
    setListable(200_000);
    assert.match((await found('table-list')).join(), /^ok: /);
    setListable(undefined);
    assert.deepEqual(await found('table-list'), []);
  });

  it('tells that the table is too long already, and what will become of it', async () => {
    pfctl.update((state) => {
      state.rules = [
        'pass in quick proto tcp from <mx-white> to 192.0.2.4 port = smtp flags S/SA keep state',
      ];
      state.references = { '': { 'mx-white': 1 } };
    });
    pfctl.putEntries(addresses(66_002), 1_700_000_000);
    assert.deepEqual(await found('table-list'), [
      'error: table list: the table has 66002 addresses, and FreeBSD lists no more than 65535 (net.pf.request_maxcount): ' +
        'mxallowd takes all out, and puts back what it knows (sysctl net.pf.request_maxcount=200000, and ' +
        'net.pf.request_maxcount=200000 in /etc/sysctl.conf for the next boot)',
    ]);
    assert.deepEqual(await found('table'), ['ok: table <mx-white>: 66002 addresses']);
  });

  it('counts what other tables hold by their lists, for nothing else tells', async () => {
    pfctl.update((state) => {
      state.rules = [
        'pass in quick proto tcp from <mx-white> to 192.0.2.4 port = smtp flags S/SA keep state',
      ];
      state.references = { '': { 'mx-white': 1 } };
    });
    await pfctl.run(['-qt', 'other', '-T', 'add', '192.0.2.77', '192.0.2.78']);
    assert.match((await found('table-limit')).join(), /pf has room for 199998 addresses/);
  });
});
