import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { linesOf, runCli, Scratch } from '../support/cli.js';
import { dnsUnavailable, NameServer, SlowServer } from '../support/dns.js';
import { GOOGLE, GOOGLE_ZONE } from '../support/spf-zones.js';

const scratch = new Scratch();
after(() => scratch.remove());
const EMPTY = scratch.file('empty.conf', '# nothing\n');

const ZONES = {
  'google.test': GOOGLE_ZONE,
  'example.com': `
@ TXT "v=spf1 a:mail.example.com ip4:10.0.0.0/8 ip4:0.0.0.0/0 exists:%{i}.example.com +all"
mail A 198.51.100.7
mail AAAA 2001:db8::7
half TXT "v=spf1 ip4:198.51.100.0/24 include:spf.refused.test -all"`,
};

describe('mxallowd spf', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  before(async () => (server = await NameServer.start(ZONES)));
  after(() => server.dispose());
  const spf = (...args: string[]): ReturnType<typeof runCli> =>
    runCli(['spf', '-c', EMPTY, '--dns-server', server.address, ...args]);

  it('prints the networks of the record, one a line', async () => {
    const { status, stdout, stderr } = await spf('google.test');
    assert.deepEqual([status, stderr], [0, '']);
    assert.deepEqual(linesOf(stdout).sort(), [...GOOGLE.ipv4, ...GOOGLE.ipv6].sort());
  });

  it('prints what allow-domain would let in, and says what not', async () => {
    const { status, stdout, stderr } = await spf('EXAMPLE.com.');
    assert.equal(status, 0);
    assert.deepEqual(linesOf(stdout), ['198.51.100.7', '2001:db8::7']);
    assert.deepEqual(linesOf(stderr), [
      'mxallowd: example.com: passed over: 10.0.0.0/8 (it is private, or has such addresses)',
      'mxallowd: example.com: passed over: 0.0.0.0/0 (it is unspecified, or has such addresses)',
      'mxallowd: example.com: passed over: "exists:%{i}.example.com" of example.com depends on each message',
      'mxallowd: example.com: passed over: "+all" of example.com names everybody',
    ]);
  });

  it('takes several names, and names on standard input', async () => {
    const both = await spf('example.com', 'google.test');
    assert.deepEqual([both.status, linesOf(both.stdout).length], [0, 92]);
    const names = scratch.file('domains', 'google.test\nexample.com\n');
    const read = await runCli(['spf', '-c', EMPTY, '--dns-server', server.address], names);
    assert.deepEqual([read.status, linesOf(read.stdout).length], [0, 92]);
  });

  it('asks whom the configuration file names, whatever else is in it', async () => {
    const file = scratch.file('mxallowd.conf', `dns-server ${server.address}\ndns-timeout 9\nnonsense\n`);
    const { status, stdout } = await runCli(['spf', '-c', file, 'example.com']);
    assert.deepEqual([status, linesOf(stdout).length], [0, 2]);
    const wrong = scratch.file('wrong.conf', 'dns-server nobody\n');
    const refused = await runCli(['spf', '-c', wrong, 'example.com']);
    assert.equal(refused.status, 78);
    assert.match(refused.stderr, /wrong\.conf:1: dns-server: "nobody" is not an address of a DNS server/);
  });

  it('ends with 65 when a domain has no networks, and goes on with the next one', async () => {
    const { status, stdout, stderr } = await spf('no-such-name.example.com', 'example.com');
    assert.deepEqual([status, linesOf(stdout).length], [65, 2]);
    assert.match(
      stderr,
      /^mxallowd: no-such-name\.example\.com: no-such-name\.example\.com has no SPF record$/m,
    );
  });

  it('ends with 69 when DNS does not answer, or not all', async (t) => {
    const half = await spf('half.example.com', 'no-such-name.example.com');
    assert.deepEqual([half.status, linesOf(half.stdout)], [69, ['198.51.100.0/24']]);
    assert.match(half.stderr, /DNS does not answer: TXT of spf\.refused\.test: EREFUSED/);
    const silent = await SlowServer.start({ reply: () => 'never' });
    t.after(() => silent.dispose());
    const none = await runCli([
      'spf',
      '-c',
      EMPTY,
      '--dns-server',
      silent.address,
      '--dns-timeout',
      '1',
      'example.com',
    ]);
    assert.deepEqual([none.status, none.stdout], [69, '']);
    assert.match(none.stderr, /TXT of example\.com: ETIMEOUT/);
  });

  it('prints JSON', async () => {
    const { stdout } = await spf('--json', 'half.example.com', 'nothing.example.com');
    assert.deepEqual(
      linesOf(stdout).map((line) => JSON.parse(line) as unknown),
      [
        {
          domain: 'half.example.com',
          networks: ['198.51.100.0/24'],
          refused: [],
          passed: [],
          unanswered: ['TXT of spf.refused.test: EREFUSED'],
          isWhole: false,
          ttlSeconds: 300,
        },
        { domain: 'nothing.example.com', networks: [], why: 'nothing.example.com has no SPF record' },
      ],
    );
  });

  it('needs names that are some', async () => {
    const none = await runCli(['spf', '-c', EMPTY]);
    assert.equal(none.status, 64);
    assert.match(none.stderr, /spf needs a domain: mxallowd spf NAME/);
    const wrong = await spf('192.0.2.1', 'localhost', 'm\xfcller.example');
    assert.equal(wrong.status, 64);
    assert.equal(linesOf(wrong.stderr).length, 3);
    assert.match(wrong.stderr, /"192\.0\.2\.1" is not a domain name such as example\.org/);
    const option = await spf('--table', 'x', 'example.com');
    assert.equal(option.status, 64);
    assert.match(option.stderr, /--table: an option of the daemon, not of this command/);
  });
});
