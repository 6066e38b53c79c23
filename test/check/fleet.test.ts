import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fleetProbe } from '../../src/check/fleet.js';
import { checkContext, type GivenValues } from '../support/check-context.js';
import { until } from '../support/daemon.js';
import { freePort, RealNode, RedisServer, redisUnavailable } from '../support/redis.js';

describe('the check of a store that gateways share', { skip: redisUnavailable() }, () => {
  let server: RedisServer;
  let password: string;
  let url: string;

  before(async () => {
    server = await new RedisServer(['requirepass right']).start();
    url = `redis://127.0.0.1:${server.port}`;
    password = join(server.folder, 'password');
    writeFileSync(password, 'right\n', { mode: 0o600 });
  });
  after(() => server.close());

  async function found(values: GivenValues): Promise<string[]> {
    const context = checkContext({ fleetUrl: url, fleetNode: 'mx1', fleetPasswordFile: password, ...values });
    return (await fleetProbe.run(context)).map(
      ({ severity, id, message }) => `${severity} ${id}: ${message}`,
    );
  }

  it('says when nobody else is there, and who is, and writes nothing', async () => {
    assert.deepEqual(await found({}), [
      `note fleet-alone: fleet: ${url} lets us in, and no other gateway of site mx is there`,
    ]);
    assert.equal(server.tell('DBSIZE'), '0');
    const node = await RealNode.start({ url: server.url, node: 'mx2', site: 'mx', password: 'right' });
    await until('it has written', () => server.tell('EXISTS', 'mx:mx:node:mx2') === '1');
    assert.deepEqual(await found({}), [`ok fleet: fleet: ${url} lets us in; 1 other gateway: mx2`]);
    node.close();
  });

  it('says why it is not let in', async () => {
    const wrong = join(server.folder, 'wrong');
    writeFileSync(wrong, 'wrong\n', { mode: 0o600 });
    assert.match(
      (await found({ fleetPasswordFile: wrong })).join(),
      /^error fleet-away: .* does not let us in/,
    );
    assert.match(
      (await found({ fleetUrl: `redis://127.0.0.1:${await freePort()}` })).join(),
      /^error fleet-away: .* cannot be reached/,
    );
    assert.match((await found({ fleetPasswordFile: '/nowhere' })).join(), /^error fleet-access: .*\/nowhere/);
  });

  it('is not made when nothing is shared', () => {
    assert.equal(fleetProbe.applies?.(checkContext({})), false);
  });
});
