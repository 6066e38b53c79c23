// A Redis with replicas and a sentinel that makes one of them the master.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { until } from '../support/daemon.js';
import { sender } from '../support/fleet-site.js';
import { freePort, RealNode, RedisServer, redisUnavailable, urlOf } from '../support/redis.js';

const hasSentinel = spawnSync('sh', ['-c', 'command -v redis-sentinel']).status === 0;
const skip =
  redisUnavailable() ?? (hasSentinel ? false : 'redis-sentinel not found (package redis-sentinel)');

describe('a Redis with two replicas and a sentinel', { skip }, () => {
  const servers: RedisServer[] = [];
  let sentinel: ChildProcess | undefined;
  let port = 0;
  const nodes: RealNode[] = [];

  before(async () => {
    for (let n = 0; n < 3; n++) servers.push(await new RedisServer(['repl-diskless-sync-delay 0']).start());
    const [master = assert.fail(), ...replicas] = servers;
    for (const replica of replicas) replica.tell('REPLICAOF', '127.0.0.1', String(master.port));
    await until('both follow', () =>
      replicas.every((one) => one.tell('INFO', 'replication').includes('link_status:up')),
    );
    port = await freePort();
    const file = join(master.folder, 'sentinel.conf');
    const lines = [
      `port ${port}`,
      `dir ${master.folder}`,
      `sentinel monitor store 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds store 1000',
      'sentinel failover-timeout store 5000',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    sentinel = spawn('redis-sentinel', [file], { stdio: 'ignore' });
    const ask = (): string =>
      spawnSync('redis-cli', ['-p', String(port), 'SENTINEL', 'REPLICAS', 'store'], { encoding: 'utf8' })
        .stdout;
    await until('the sentinel knows both', () => replicas.every((one) => ask().includes(String(one.port))));
    const url = urlOf(`redis+sentinel://127.0.0.1:${port}/store`);
    for (const node of ['mx1', 'mx2']) nodes.push(await RealNode.start({ url, node }));
  });
  after(async () => {
    for (const node of nodes) node.close();
    sentinel?.kill('SIGKILL');
    for (const server of servers) await server.close();
  });

  it('is found, and found again when another one is the master', async () => {
    const [here = assert.fail(), there = assert.fail()] = nodes;
    here.attempt(sender(1));
    await until('it is there', () => there.has(sender(1)));
    await servers[0]?.kill();
    here.attempt(sender(2));
    there.attempt(sender(3));
    const all = [1, 2, 3].map(sender).join();
    await until('all are equal by another master', () => nodes.every(({ live }) => live.join() === all));
    assert.ok(nodes.every(({ isLinked }) => isLinked));
  });
});
