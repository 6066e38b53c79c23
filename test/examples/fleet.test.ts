import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { packageFolder } from '../../src/version.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { freePort, makeCertificate, redisUnavailable } from '../support/redis.js';

describe('examples/valkey.conf with examples/fleet.acl', { skip: redisUnavailable() }, () => {
  const scratch = new Scratch();
  after(() => scratch.remove());

  it('are what a store starts with: by TLS, for the users of the example and nobody else', async () => {
    const examples = join(packageFolder(), 'examples');
    const { certificate } = makeCertificate(scratch.folder);
    const port = await freePort();
    const acl = scratch.path('fleet.acl');
    copyFileSync(join(examples, 'fleet.acl'), acl);
    // addresses and paths, as the example says
    const text = readFileSync(join(examples, 'valkey.conf'), 'utf8')
      .replace('bind 192.0.2.10', 'bind 127.0.0.1')
      .replace('tls-port 6379', `tls-port ${port}`)
      .replaceAll('/etc/valkey/mxallowd.', `${scratch.folder}/store.`)
      .replace('/etc/valkey/fleet.acl', acl);
    const config = scratch.file('valkey.conf', text);
    const server = spawn('redis-server', [config, '--dir', scratch.folder], { stdio: 'ignore' });
    const ended = once(server, 'exit');
    const ask = (user: string, password: string, ...words: string[]): string => {
      const tls = ['-p', String(port), '--tls', '--cacert', certificate, '--user', user];
      const env = { ...process.env, REDISCLI_AUTH: password };
      const { stdout, stderr } = spawnSync('redis-cli', [...tls, ...words], { encoding: 'utf8', env });
      return `${stdout}${stderr}`;
    };
    const write = ['HSET', 'mx:mx:now:mx1', 'a', 'b'];
    await until('it takes what mx1 writes', () => {
      assert.equal(server.exitCode, null, 'it has ended');
      return /^[01]$/m.test(ask('mx1', 'CHANGE-ME-1', ...write));
    });
    assert.match(ask('mx2', 'CHANGE-ME-2', ...write), /NOPERM/);
    assert.match(ask('default', '', 'PING'), /AUTH failed|NOAUTH|WRONGPASS/);
    server.kill();
    await ended;
  });
});
