// Nodes that share a real Redis, and what can be wrong with it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { until } from '../support/daemon.js';
import { sender } from '../support/fleet-site.js';
import { makeCertificate, RealNode, RedisServer, redisUnavailable, urlOf } from '../support/redis.js';

const skip = redisUnavailable();

describe('nodes that share a Redis', { skip }, () => {
  let server: RedisServer;
  let nodes: RealNode[] = [];
  let last = 0;

  before(async () => {
    server = await new RedisServer().start();
    nodes = await Promise.all(
      ['mx1', 'mx2', 'mx3'].map((node) => RealNode.start({ url: server.url, node, site: 'test' })),
    );
    await until('all have read all', () => nodes.every(({ model }) => model.hasSynced));
  });
  after(async () => {
    for (const node of nodes) node.close();
    await server.close();
  });

  function node(at: number): RealNode {
    const found = nodes[at];
    if (found === undefined) throw new Error('no node');
    return found;
  }

  /** An attempt here is an entry there. */
  async function works(): Promise<void> {
    for (let at = 0; at < nodes.length; at++) {
      const who = sender(++last);
      node(at).attempt(who);
      await until(`${who} of node ${at} is everywhere`, () => nodes.every((one) => one.has(who)));
    }
    await until('all are equal', () => nodes.every((one) => one.live.join() === node(0).live.join()));
  }

  it('an attempt here is an entry there', works);

  it('what is forgotten here is gone there', async () => {
    const who = sender(++last);
    node(0).attempt(who);
    await until('it is there', () => node(2).has(who));
    node(2).forget(who);
    await until('it is gone', () => !node(0).has(who) && !node(1).has(who));
  });

  it('emptied while all are connected: it heals by itself', async () => {
    assert.equal(server.tell('FLUSHALL'), 'OK');
    await until('it is written again', () => server.tell('HLEN', 'mx:test:now:mx1') !== '0');
    await works();
  });

  it('a hash that somebody else writes to, or takes away, is written anew', async () => {
    for (const words of [
      ['HSET', 'mx:test:now:mx1', '203.0.113.9', '1 9999999999999 -'],
      ['UNLINK', 'mx:test:now:mx1'],
      ['UNLINK', 'mx:test:log:mx1'],
    ]) {
      server.tell(...words);
      const fields = String(node(0).fleet.own.fields);
      await until(
        words.join(' '),
        () =>
          server.tell('HLEN', 'mx:test:now:mx1') === fields &&
          server.tell('HGET', 'mx:test:node:mx1', 'ready') === '1',
      );
      await works();
    }
    await until('what was written is gone', () => nodes.every((one) => !one.has('203.0.113.9' as never)));
  });

  it('killed, and started without what it had: said, survived, and all are equal again', async () => {
    await server.kill();
    await until('all say so', () => nodes.every((one) => !one.isLinked && one.problem === 'away'));
    node(0).attempt(sender(++last));
    await server.start();
    await works();
  });

  it('frozen: said, survived, and all are equal again', async () => {
    server.signal('SIGSTOP');
    await until('all say so', () => nodes.every((one) => one.problems.includes('frozen')));
    node(1).attempt(sender(++last));
    server.signal('SIGCONT');
    await works();
  });

  it('without memory: said, survived, and all are equal again', async () => {
    server.tell('CONFIG', 'SET', 'maxmemory', '1');
    node(1).attempt(sender(++last));
    await until('it says so', () => node(1).problem === 'out-of-memory');
    server.tell('CONFIG', 'SET', 'maxmemory', '0');
    await works();
  });

  it('a replica that takes no writes: said, survived, and all are equal again', async () => {
    server.tell('REPLICAOF', '127.0.0.1', '1');
    node(1).attempt(sender(++last));
    await until(
      'it says so',
      () => node(1).problems.includes('read-only') || node(1).problems.includes('loading'),
    );
    server.tell('REPLICAOF', 'NO', 'ONE');
    await works();
  });

  it('a second node of the same name tells, and the first one reads only', async () => {
    const other = await RealNode.start({ url: server.url, node: 'mx1', site: 'test' });
    await until('the first one is told', () => node(0).isMuted);
    assert.equal(other.isMuted, false);
    const who = sender(++last);
    other.attempt(who);
    await until('what the second one tells is heard', () => node(2).has(who));
    node(2).attempt(sender(++last));
    await until('the first one reads', () => node(0).has(sender(last)));
    other.close();
  });
});

describe('a node of a Redis with permissions', { skip }, () => {
  let server: RedisServer;

  before(async () => {
    server = await new RedisServer().start();
    for (const name of ['mx1', 'mx2']) {
      const words = aclOf(name, `secret-${name}`);
      assert.equal(server.tell(...words), 'OK', words.join(' '));
    }
    server.tell('ACL', 'SETUSER', 'default', 'resetpass', '>admin');
  });
  after(() => server.close());

  /** The line of docs/fleet.md and examples/, as a command. */
  function aclOf(name: string, password: string): string[] {
    const text = readFileSync('examples/fleet.acl', 'utf8');
    const line = text.split('\n').find((one) => one.startsWith('user mx1 ')) ?? '';
    return [
      'ACL',
      'SETUSER',
      ...line.replaceAll('mx1', name).replace(/>\S+/, `>${password}`).split(/\s+/).slice(1),
    ];
  }

  function start(
    name: string,
    password: string,
    more: Partial<Parameters<typeof RealNode.start>[0]> = {},
  ): Promise<RealNode> {
    const url = urlOf(`redis://${name}@127.0.0.1:${server.port}`);
    return RealNode.start({ url, node: name, site: 'mx', password, ...more });
  }

  it('the lines of the example are enough', async () => {
    const nodes = await Promise.all([start('mx1', 'secret-mx1'), start('mx2', 'secret-mx2')]);
    await until('all have read all', () => nodes.every(({ model }) => model.hasSynced));
    nodes[0]?.attempt(sender(1));
    await until('it is there', () => nodes[1]?.has(sender(1)) === true);
    nodes[1]?.forget(sender(1));
    await until('it is gone', () => nodes[0]?.has(sender(1)) === false);
    assert.deepEqual(
      nodes.map(({ problems }) => problems),
      [[], []],
    );
    for (const node of nodes) node.close();
  });

  it('a wrong password is told as such', async () => {
    const node = await start('mx1', 'wrong');
    await until('it is told', () => node.problem === 'wrong-password');
    assert.equal(node.isLinked, false);
    node.close();
  });

  it("a node that writes to another one's keys may not, is told so, and harms nothing", async () => {
    const node = await start('mx1', 'secret-mx1', { node: 'mx2' });
    await until('it is told', () => node.problem === 'no-permission');
    node.close();
  });
});

describe('a Redis with TLS', { skip }, () => {
  let server: RedisServer;
  let certificate: string;

  before(async () => {
    const made = new RedisServer();
    const files = makeCertificate(made.folder);
    certificate = files.certificate;
    server = new RedisServer([
      'tls-port PORT',
      `tls-cert-file ${files.certificate}`,
      `tls-key-file ${files.key}`,
      'tls-auth-clients no',
    ]);
    await server.start();
  });
  after(() => server.close());

  it('is used with the certificate that is trusted, and not without', async () => {
    const url = urlOf(`rediss://127.0.0.1:${server.port}`);
    const ca = readFileSync(certificate, 'utf8');
    const [good, bad] = await Promise.all([
      RealNode.start({ url, node: 'mx1', ca }),
      RealNode.start({ url, node: 'mx2' }),
    ]);
    await until('one is in, the other one is told', () => good.isLinked && bad.problem === 'tls');
    assert.equal(bad.isLinked, false);
    const plain = await RealNode.start({ url: urlOf(`redis://127.0.0.1:${server.port}`), node: 'mx3' });
    await until('without TLS nothing comes of it', () => plain.problem !== undefined);
    for (const node of [good, bad, plain]) node.close();
  });
});
