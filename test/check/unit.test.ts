import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseService } from '../../src/check/unit.js';
import type { World } from '../../src/demo/world.js';
import type { Stage } from '../../src/demo/stage.js';
import { packageFolder } from '../../src/version.js';
import { CLI, Scratch } from '../support/cli.js';
import { openStage, rootStageUnavailable } from '../support/stage.js';

/** One that makes its user; ours does not any more. */
const UNIT = join(packageFolder(), 'test', 'fixtures', '2.0.0-mxallowd.service');
const OURS = join(packageFolder(), 'systemd', 'mxallowd.service');

describe('a unit of systemd', () => {
  it('says whom it runs as, and whether it makes that user', () => {
    const expected = { isDynamic: true, user: '_mxallowd' };
    assert.deepEqual(parseService([readFileSync(UNIT, 'utf8')]), expected);
    assert.deepEqual(parseService([readFileSync(OURS, 'utf8')]), { ...expected, isDynamic: false });
  });

  it('says so in its section only, and the last word counts, of drop-ins, too', () => {
    const unit =
      '[Unit]\nUser=a\n[Service]\n User = b \n#User=c\nDynamicUser=On\nUser=d\n[Install]\nUser=e\n';
    assert.deepEqual(parseService([unit]), { isDynamic: true, user: 'd' });
    const dropIn = '[Service]\nDynamicUser=no\nUser=\n';
    assert.deepEqual(parseService([unit, dropIn]), { isDynamic: false, user: undefined });
    assert.deepEqual(parseService(['']), { isDynamic: false, user: undefined });
  });
});

describe(
  'mxallowd check, before the unit has run for the first time',
  { skip: rootStageUnavailable() },
  () => {
    const scratch = new Scratch();
    const config = scratch.file(
      'mxallowd.conf',
      'fake-mailserver 192.0.2.3\nreal-mailserver 192.0.2.4\nuser nosuchuser\n',
    );
    let stage: Stage;
    before(async () => {
      stage = await openStage();
      await onTop(stage.world, '/etc/systemd/system');
      await onTop(stage.world, '/var/lib');
    });
    after(async () => {
      await stage.close();
      scratch.remove();
    });

    /** An empty folder in the place of one of the machine's, for those in the world. */
    const onTop = (world: World, folder: string): Promise<string> =>
      world.script(`mkdir -p '${folder}'; mount -t tmpfs tmpfs '${folder}'`);

    /** Lines about the user and the state file; a line that goes on is one. */
    async function check(): Promise<string[]> {
      const argv = [process.execPath, CLI, 'check', '-c', config];
      const { stdout } = await stage.world.run('mx', argv);
      const lines = stdout.replaceAll(/\n {9}(?! *->)/g, ' ').split('\n');
      return lines.filter((line) => /^\w+ +(?:user|state file):/.test(line));
    }

    it('asks for a user, when there is no unit', async () => {
      const [user, state] = await check();
      assert.match(user ?? '', /^error +user: there is no user nosuchuser, so mxallowd does not start$/);
      assert.match(state ?? '', /^note +state file: \/var\/lib\/mxallowd is not there; /);
    });

    it('asks for nothing that the unit makes, before and afterwards', async () => {
      await stage.world.script(`cp '${UNIT}' /etc/systemd/system/mxallowd.service`);
      const expected = [
        'ok       user: /etc/systemd/system/mxallowd.service makes _mxallowd for as long as it runs',
        'ok       state file: in /var/lib/mxallowd, which /etc/systemd/system/mxallowd.service makes and owns',
      ];
      assert.deepEqual(await check(), expected);
      // as systemd leaves it
      await stage.world.script(
        'install -d -m 700 /var/lib/private; install -d -o 61184 -g 61184 /var/lib/private/mxallowd; ' +
          'ln -s private/mxallowd /var/lib/mxallowd',
      );
      assert.deepEqual(await check(), expected);
    });

    it('asks for the user of a unit that makes none', async () => {
      await stage.world.script(
        'mkdir /etc/systemd/system/mxallowd.service.d; ' +
          "printf '[Service]\\nDynamicUser=no\\n' >/etc/systemd/system/mxallowd.service.d/own.conf",
      );
      assert.match((await check())[0] ?? '', /^error +user: there is no user nosuchuser/);
    });
  },
);
