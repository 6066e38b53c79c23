import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { frames } from '../../bench/support.js';
import type { ListedEntry } from '../../src/control/protocol.js';
import { ask } from '../support/control.js';
import { SERVERS, until, Workplace } from '../support/daemon.js';
import { CANNOT_HOLD } from '../support/held.js';

/** Senders 10.0.0.1 and on, or 2001:db8:0:1::1 and on. */
const syn = (target: 'fake' | 'real', sender: number, family: 4 | 6 = 4) => frames(family, 1, target, sender);

/** Root can have it both ways; for others there is one process in any case. */
const USERS = process.getuid?.() === 0 ? ['root', 'nobody'] : ['root'];

for (const user of USERS)
  describe(`the daemon with "user ${user}"`, () => {
    /** The same in one process as in two. */
    const once = user === USERS.at(-1) ? it : (): void => undefined;
    let place: Workplace;
    beforeEach(async () => {
      place = await Workplace.create(user);
    });
    afterEach(() => place.dispose());

    once('lets in who tried the fake MX, in the words of 1.9', async () => {
      const daemon = await place.ready();
      place.log(syn('fake', 1));
      await daemon.line(/Successful connection from 10\.0\.0\.1 to a fake mailserver, adding to whitelist/);
      place.log(syn('fake', 1, 6));
      await daemon.line(
        /Successful connection from 2001:db8:0:1::1 to a fake mailserver, adding to whitelist/,
      );
      place.log(syn('real', 2));
      await daemon.line(/Dropping connection attempt from 10\.0\.0\.2 to a real mailserver/);
      await until('both are in the table', async () => (await place.pfctl.addresses()).length === 2);
      assert.deepEqual(await place.pfctl.addresses(), ['10.0.0.1', '2001:db8:0:1::/64']);
      daemon.kill('SIGTERM');
      assert.equal(await daemon.ended, 0);
      assert.equal(daemon.stderr, '');
    });

    it('ends on SIGTERM beside a pfctl that cannot be killed, and says what was not written', async (test) => {
      if (CANNOT_HOLD !== false) return test.skip(CANNOT_HOLD);
      const daemon = await place.ready();
      place.pfctl.setFault({ mode: 'stuck', only: 'add', times: 1 });
      place.log(syn('fake', 1));
      await place.pfctl.waitForCalls(1, ({ rc }) => rc === null);
      daemon.kill('SIGTERM');
      assert.equal(await daemon.ended, 0);
      assert.match(daemon.stdout, /1 change could not be written to <mx-white> before the end/);
    });

    once('takes addresses out again when their time is over', async () => {
      const daemon = await place.ready(['-t', '1']);
      place.log(syn('fake', 1));
      await daemon.line(/Cleaning 10\.0\.0\.1 \(RDNS: none\) from whitelist \(timeout\)/);
      await until('it is out of the table', async () => (await place.pfctl.addresses()).length === 0);
    });

    it('logs the statistics in the words of 1.9 on SIGUSR1, and opens no debugger', async () => {
      const daemon = await place.ready();
      place.log([...syn('real', 1), ...syn('real', 2), ...syn('fake', 3)]);
      await daemon.line(/10\.0\.0\.3 to a fake/);
      daemon.kill('SIGUSR1');
      await daemon.line(
        /Statistics: 2 blocked connection attempts, 0 successful connections, 0 direct-to-fake-mx/,
      );
      assert.equal(daemon.stderr, '');
    });

    it('reads the file again on SIGHUP: what it no longer names is removed', async () => {
      place.writeConfig(['allow 203.0.113.0/24'], [...SERVERS.slice(1), 'fake-mailserver 192.168.1.99']);
      const daemon = await place.ready();
      await until('it is allowed', async () => (await place.pfctl.addresses()).join() === '203.0.113.0/24');
      place.log([...syn('fake', 1), ...syn('fake', 1, 6)]);
      await daemon.line(/2001:db8:0:1::1 to a fake/);
      assert.doesNotMatch(daemon.stdout, /10\.0\.0\.1/);

      place.writeConfig(['allow 198.51.100.7']);
      daemon.kill('SIGHUP');
      await daemon.line(/configuration read again: 2 fake and 2 real addresses, 1 allowed at all times/);
      place.log(syn('fake', 1));
      await daemon.line(/10\.0\.0\.1 to a fake mailserver, adding/);
      const expected = ['10.0.0.1', '198.51.100.7', '2001:db8:0:1::/64'];
      await until(
        'the table follows',
        async () => (await place.pfctl.addresses()).join() === expected.join(),
      );
    });

    once('keeps the old configuration when the new one is wrong, and says what is wrong', async () => {
      const daemon = await place.ready();
      writeFileSync(place.config, 'fake-mailservr 192.168.1.3\nwhitelist-time soon\n');
      daemon.kill('SIGHUP');
      await daemon.line(/the old one stays/);
      assert.match(daemon.stdout, /mxallowd\.conf:1: Unknown configfile option: fake-mailservr/);
      assert.match(daemon.stdout, /mxallowd\.conf:2: whitelist-time: "soon" is not/);
      place.log(syn('fake', 1));
      await daemon.line(/10\.0\.0\.1 to a fake/);
    });

    once('says which changes need a restart', async () => {
      const daemon = await place.ready();
      place.writeConfig(['table other', 'whitelist-time 60']);
      daemon.kill('SIGHUP');
      await daemon.line(/a restart is needed for the change of table\n/);
    });

    once('fills the table again after pf was restarted, at the latest on SIGHUP', async () => {
      const daemon = await place.ready();
      place.log(syn('fake', 1));
      await until('it is in the table', async () => (await place.pfctl.addresses()).length === 1);
      place.pfctl.emptyTable();
      daemon.kill('SIGHUP');
      await daemon.line(/had lost 1 entry /);
      await until('it is back', async () => (await place.pfctl.addresses()).length === 1);
    });

    it('goes back to its work when tcpdump has died', async () => {
      const daemon = await place.ready();
      place.closePflog();
      await daemon.line(/capture lost: .* ended with status 0[^]*(next try|started again) in 1 s/);
      place.openPflog();
      await daemon.line(/capture open again|the engine works again/);
      place.log(syn('fake', 1));
      await daemon.line(/10\.0\.0\.1 to a fake/);
    });

    it('adopts what is in the table, with the time that is left, and takes out what is over', async () => {
      const now = Math.floor(Date.now() / 1000);
      place.pfctl.putEntries(['10.0.0.1'], now - 1800);
      // nine days: longer than known-time
      place.pfctl.putEntries(['10.0.0.2', '10.9.0.0/24', '2001:db8:9::/48'], now - 777_600);
      place.pfctl.putEntries(['198.51.0.0/16'], now - 9000);
      const daemon = await place.ready();
      assert.match(daemon.stdout, /with 1 entry$/m);
      await until('the old ones are out', async () => (await place.pfctl.addresses()).length === 2);
      assert.deepEqual(await place.pfctl.addresses(), ['10.0.0.1', '198.51.0.0/16']);
      const { items } = await ask(place.controlSocket, { command: 'list' });
      const [adopted, ...others] = items as ListedEntry[];
      assert.deepEqual([adopted?.prefix, others], ['10.0.0.1', []]);
      assert.ok((adopted?.expiresInMs ?? 0) <= 1_800_000, `${adopted?.expiresInMs} ms left of half an hour`);
    });

    it('adopts who is in the table for longer than whitelist-time: it was used, or tried again', async () => {
      place.pfctl.putEntries(['10.0.0.1'], Math.floor(Date.now() / 1000) - 4000);
      await place.ready();
      const { items } = await ask(place.controlSocket, { command: 'list' });
      const [adopted] = items as ListedEntry[];
      assert.equal(adopted?.prefix, '10.0.0.1');
      assert.ok(
        adopted.expiresInMs > 3_000_000 && adopted.expiresInMs <= 3_600_000,
        `${adopted.expiresInMs}`,
      );
    });

    once(
      'does not start when the table is missing, names the line for pf.conf, and makes no table',
      async () => {
        place.pfctl.destroyTable();
        const daemon = place.start(['-F', '-s']);
        assert.equal(await daemon.ended, 69);
        assert.match(daemon.stderr, /put the line "table <mx-white> persist" into \/etc\/pf\.conf/);
        assert.equal(place.pfctl.cleared(), undefined);
      },
    );

    once('does not start without access to pf, with the status for that', async () => {
      place.pfctl.setFault({ mode: 'fail', rc: 1, stderr: 'pfctl: /dev/pf: Permission denied' });
      const daemon = place.start(['-F', '-s']);
      assert.equal(await daemon.ended, 77);
      assert.match(daemon.stderr, /cannot be read: .*Permission denied/);
    });

    once('does not start on a wrong link type, and names it', async () => {
      place.closePflog();
      place.openPflog(1);
      const daemon = place.start(['-F', '-s']);
      assert.equal(await daemon.ended, 65);
      assert.match(daemon.stderr, /link type 1 ETHERNET, expected 117 PFLOG/);
    });

    it('writes out what is pending when it ends', async () => {
      const daemon = await place.ready();
      place.pfctl.setFault({ mode: 'fail', only: 'add' });
      place.log(frames(4, 300, 'fake', 1));
      await daemon.line(/cannot be written/);
      daemon.kill('SIGTERM');
      place.pfctl.setFault(null);
      assert.equal(await daemon.ended, 0);
      assert.equal((await place.pfctl.addresses()).length, 300);
    });

    it('ends, and with 0, even when pfctl hangs, and says what is lost', async () => {
      const daemon = await place.ready();
      place.pfctl.setFault({ mode: 'hang' });
      place.log(syn('fake', 1));
      await daemon.line(/10\.0\.0\.1 to a fake/);
      daemon.kill('SIGINT');
      assert.equal(await daemon.ended, 0);
      assert.match(daemon.stdout, /1 change could not be written/);
    });

    it('goes to the background when it is ready, and not before', async () => {
      const starter = place.start(['--pid-file', place.pidFile]);
      assert.equal(await starter.ended, 0);
      const pid = Number(readFileSync(place.pidFile, 'utf8'));
      assert.notEqual(pid, starter.pid);
      process.kill(pid, 0);
      place.log(syn('fake', 1));
      await until('it works', async () => (await place.pfctl.addresses()).length === 1);
      process.kill(pid, 'SIGTERM');
      await until('its PID file is gone', () => !existsSync(place.pidFile));
    });

    it('tells the error and its status when it cannot go to the background', async () => {
      place.pfctl.destroyTable();
      const starter = place.start(['--pid-file', place.pidFile]);
      assert.equal(await starter.ended, 69);
      assert.match(starter.stderr, /^mxallowd: pf table <mx-white> does not exist/m);
      assert.equal(existsSync(place.pidFile), false);
    });

    it('does not start twice, but takes over the PID file of a dead one', async () => {
      writeFileSync(place.pidFile, '999999999\n');
      const first = await place.ready(['--pid-file', place.pidFile]);
      assert.equal(Number(readFileSync(place.pidFile, 'utf8')), first.pid);
      const second = place.start(['-F', '-s', '--pid-file', place.pidFile]);
      assert.equal(await second.ended, 69);
      assert.match(second.stderr, /mxallowd is running already, as process \d+/);
      assert.equal(Number(readFileSync(place.pidFile, 'utf8')), first.pid);
    });

    once('goes on when its standard output is a full disk', { skip: !existsSync('/dev/full') }, async () => {
      const daemon = place.startInto('/dev/full', ['-F', '-s']);
      await daemon.line(/^mxallowd: log lines are lost: ENOSPC/);
      place.log(syn('fake', 1));
      await until('it works', async () => (await place.pfctl.addresses()).length === 1);
      place.log(syn('fake', 2));
      await until('it still works', async () => (await place.pfctl.addresses()).length === 2);
      const { log } = (await ask(place.controlSocket, { command: 'stats' })).result;
      assert.equal(log.description, 'standard output');
      assert.ok(log.lost > 2, String(log.lost));
      daemon.kill('SIGTERM');
      assert.equal(await daemon.ended, 0);
      const lost = [...daemon.stderr.matchAll(/(\d+) log lines were lost since the start\n/g)];
      assert.ok(
        lost.some(([, count]) => Number(count) > log.lost),
        daemon.stderr,
      );
    });

    once('logs JSON, nothing but errors with --quiet, and everything with --log-level debug', async () => {
      const daemon = place.start(['-F', '-s', '--log-format', 'json', '--log-level', 'debug']);
      await daemon.line(/"event":"ready"/);
      place.log([...syn('fake', 1), ...syn('fake', 1)]);
      await daemon.line(/"reason":"renewed"/);
      for (const line of daemon.stdout.trim().split('\n')) JSON.parse(line);
      daemon.kill('SIGTERM');
      await daemon.ended;

      place.openPflog();
      const quiet = place.start(['-F', '-s', '-q', '--pid-file', place.pidFile]);
      await until('it runs', () => existsSync(place.pidFile));
      place.log(syn('fake', 2));
      await until('it works', async () => (await place.pfctl.addresses()).length === 2);
      quiet.kill('SIGTERM');
      assert.equal(await quiet.ended, 0);
      assert.equal(quiet.stdout, '');
    });

    once(
      'does not drown in a flood: it goes on working, logs 500 lines a second, and counts the rest',
      async () => {
        const daemon = await place.ready(['--max-entries', '1000']);
        place.log(frames(4, 500, 'fake', 1));
        for (let first = 1000; first < 20_000; first += 500) place.log(frames(4, 500, 'real', first));
        place.log(syn('fake', 7, 6));
        await daemon.line(
          /Flood: \d+ more events within a second, .*\d+ refusals.*, from about \d+ networks/,
        );
        await until('the last one is in', async () =>
          (await place.pfctl.addresses()).includes('2001:db8:0:7::/64'),
        );
      },
    );
  });
