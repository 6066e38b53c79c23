import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { World, WORLD } from '../../src/demo/world.js';
import type { Finding } from '../../src/pf/finding.js';
import { packageFolder } from '../../src/version.js';
import { CLI, linesOf, Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { askCommand, dnsUnavailable, writeNameServer, type Zones } from '../support/dns.js';
import { makeCertificate, opensslUnavailable } from '../support/https.js';
import { stageUnavailable } from '../support/stage.js';

const scratch = new Scratch();
after(() => scratch.remove());

/** Policies by their domains, all of them at one host. */
const POLICIES: Readonly<Record<string, readonly string[]>> = {
  'well.example': ['mode: enforce', 'mx: mx1.well.example', 'mx: mx2.well.example'],
  'wild.example': ['mode: enforce', 'mx: *.wild.example'],
  'skipped.example': ['mode: enforce', 'mx: mx2.skipped.example'],
  'testing.example': ['mode: testing', 'mx: mx2.testing.example'],
  'none.example': ['mode: none'],
};
const OTHERS = ['foreign.example', 'far.example', 'quiet.example'];
/** Where there is no way to, and where nobody answers. */
const FAR = '203.0.113.9';
const QUIET = '203.0.113.10';

const ZONES: Zones = Object.fromEntries(
  [...Object.keys(POLICIES), ...OTHERS].map((domain) => {
    const host = domain.startsWith('far') ? FAR : domain.startsWith('quiet') ? QUIET : WORLD.other;
    const text = `
@ MX 10 mx1
@ MX 20 mx2
mx1 A ${WORLD.fake[0]}
mx1 AAAA ${WORLD.fake[1]}
mx2 A ${WORLD.real[0]}
mx2 AAAA ${WORLD.real[1]}
_mta-sts TXT "v=STSv1; id=1;"
mta-sts A ${host}`;
    return [domain, text];
  }),
);

/** Serves the policies; what is in them is the test's. */
const SERVER = `
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
const { cert, key, policies } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const server = createServer({ cert, key }, ({ url, headers }, response) => {
  const text = url === '/.well-known/mta-sts.txt' ? policies[headers.host] : undefined;
  response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'text/plain' }).end(text);
});
server.listen(443, '${WORLD.other}', () => console.log('listening'));`;

const unavailable = stageUnavailable() ?? dnsUnavailable() ?? opensslUnavailable();

describe('mxallowd check --domain, with policies on port 443', { skip: unavailable }, () => {
  let world: World;
  let certificates: string;
  const children: ChildProcess[] = [];
  before(async () => {
    const mode = World.mode();
    assert.ok(typeof mode === 'string');
    world = await World.create(mode);
    const names = Object.keys(POLICIES).map((domain) => `mta-sts.${domain}`);
    const certificate = makeCertificate('policies', names);
    certificates = scratch.file('trusted.pem', certificate.cert);
    const texts = Object.entries(POLICIES).map(([domain, lines]) => [
      `mta-sts.${domain}`,
      ['version: STSv1', ...lines, 'max_age: 86400', ''].join('\r\n'),
    ]);
    const told = JSON.stringify({ ...certificate, policies: Object.fromEntries(texts) as unknown });
    const config = writeNameServer(scratch.folder, WORLD.other, ZONES);
    children.push(world.spawn('mx', ['nsd', '-d', '-c', config], { stdio: 'ignore' }));
    const args = [scratch.file('server.mjs', SERVER), scratch.file('policies.json', told)];
    const server = world.spawn('mx', [process.execPath, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(server);
    assert.ok(server.stdout);
    await once(createInterface(server.stdout), 'line');
    await world.script(`ip route add unreachable ${FAR}`, 'mx');
    await world.script(`iptables -A INPUT -d ${QUIET} -j DROP`, 'internet');
    await until('the name server answers', async () => {
      const { status } = await world.run('mx', askCommand(WORLD.other));
      return status === 0;
    });
  });
  after(() => world.close());

  async function check(
    domains: readonly string[],
    more: readonly string[] = [],
    server: string = WORLD.other,
  ) {
    const quiet = ['--state-file', 'none', '--control-socket', 'none', '--user', 'root'];
    const config = ['-c', join(packageFolder(), 'examples', 'mxallowd.conf'), '--dns-server', server];
    const asked = domains.flatMap((domain) => ['--domain', domain]);
    const args = [process.execPath, CLI, 'check', ...config, ...quiet, ...asked, ...more];
    return world.run('mx', args, { env: { ...process.env, NODE_EXTRA_CA_CERTS: certificates } });
  }

  async function findings(...domains: string[]): Promise<string[]> {
    const { stdout, stderr } = await check(domains, ['--json']);
    assert.equal(stderr, '');
    return linesOf(stdout)
      .map((line) => JSON.parse(line) as Finding)
      .filter(({ id }) => id.startsWith('mta-sts'))
      .map(({ severity, id, message }) => `${severity} ${id}: ${message.replace(/^MTA-STS of /, '')}`);
  }

  it('finds the fake MX in a policy, by its name or a wildcard', async () => {
    assert.deepEqual(await findings('well.example', 'wild.example', 'none.example'), [
      'ok mta-sts: well.example: mode enforce, mx mx1.well.example, mx2.well.example',
      'ok mta-sts: wild.example: mode enforce, mx *.wild.example',
      'ok mta-sts: none.example: mode none, so senders go by the MX records alone',
    ]);
  });

  it('has an error where the policy does not name it, a warning while it is tested', async () => {
    assert.deepEqual(await findings('skipped.example', 'testing.example'), [
      'note mta-sts: skipped.example: mode enforce, mx mx2.skipped.example',
      'error mta-sts-fake: skipped.example: no line mx: names mx1.skipped.example (fake): senders that keep to the ' +
        'policy skip it, come to the real MX first, and are refused there',
      'note mta-sts: testing.example: mode testing, mx mx2.testing.example',
      'warning mta-sts-fake: testing.example: no line mx: names mx1.testing.example (fake): senders report that, and ' +
        'some do as with mode enforce: they skip it, come to the real MX first, and are refused there',
    ]);
  });

  it('says so to people, within 80 columns, with what to do: status 2', async () => {
    const { status, stdout, stderr } = await check(['skipped.example']);
    assert.deepEqual([status, stderr], [2, '']);
    const lines = linesOf(stdout);
    for (const line of lines) assert.ok(line.length <= 80, line);
    const at = lines.findIndex((line) => line.startsWith('error    MTA-STS'));
    assert.deepEqual(lines.slice(at, at + 8), [
      'error    MTA-STS of skipped.example: no line mx: names mx1.skipped.example',
      '         (fake): senders that keep to the policy skip it, come to the real MX',
      '         first, and are refused there',
      '         -> add a line "mx: mx1.skipped.example" to',
      '            https://mta-sts.skipped.example/.well-known/mta-sts.txt, then change',
      '            the id in the TXT record of _mta-sts.skipped.example',
      'ok       DANE of skipped.example: no MX host has TLSA records, so senders do not',
      '         use it',
    ]);
  });

  it('has a warning where the certificate is for others, and notes where nobody can be reached', async () => {
    const path = '.well-known/mta-sts.txt';
    const [foreign, ...others] = await findings('foreign.example', 'far.example', 'quiet.example');
    const invalid = 'its certificate is not valid: ';
    const start = `warning mta-sts-policy: foreign.example: https://mta-sts.foreign.example/${path}: ${invalid}`;
    assert.ok(foreign?.startsWith(start), foreign);
    assert.deepEqual(others, [
      `note mta-sts-unreached: far.example: https://mta-sts.far.example/${path} cannot be reached from here (${FAR}: there ` +
        'is no way to this host)',
      `note mta-sts-unreached: quiet.example: https://mta-sts.quiet.example/${path} cannot be reached from here (${QUIET} ` +
        'does not answer)',
    ]);
  });

  it('ends without DNS, too', async () => {
    const { stdout } = await check(['well.example'], ['--json', '--dns-timeout', '1'], QUIET);
    const all = linesOf(stdout).map((line) => JSON.parse(line) as Finding);
    assert.deepEqual(all.at(-1), {
      id: 'mx-failed',
      severity: 'warning',
      message: 'DNS of well.example: does not answer about MX records (ETIMEOUT)',
      advice: 'the rest is not known; see dns-server',
    });
  });
});
