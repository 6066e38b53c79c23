import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { statisticsLines } from '../../../src/commands/stats/text.js';
import { statusLines } from '../../../src/commands/status/text.js';
import { FINDINGS, STATISTICS, STATUS } from '../../support/control-reports.js';

// before the first Date
process.env['TZ'] = 'UTC';

describe('the text of mxallowd status', () => {
  it('says that all is well, and how it stands with pf', () => {
    assert.deepEqual(statusLines(STATUS), [
      'health:       ok',
      'version:      mxallowd 2.0.0, Node 20.20.2, FreeBSD 14.1-RELEASE',
      'processes:    monitor 812, engine 815 as _mxallowd',
      'up:           12d04h, since 2026-11-14 09:12:27',
      'last seen:    frame now, attempt 12s ago, refusal 3s ago, admission 1m05s ago',
      'capture:      bpf on pflog0: 1,234,567 frames, 0 dropped',
      'table:        <mx-white> by /sbin/pfctl: 139 entries of at most 200,000, pf is',
      '              enabled as of 4s ago',
      '              0 changes pending, 2 failed calls',
      'state file:   /var/db/mxallowd/state: written 8s ago',
      'log:          syslog by /usr/bin/logger: 3 lines lost',
      'entries:      139 of at most 100,000: 118 attempt, 15 name, 6 pool',
      '              61 reached the real MX, 12 regulars among them',
    ]);
  });

  it('begins with what is wrong, the worst first', () => {
    assert.deepEqual(statusLines({ ...STATUS, findings: FINDINGS }).slice(0, 6), [
      'error:        pf is disabled: everybody reaches the real MX (pfctl -e)',
      '              [pf-disabled]',
      'warning:      no rule of pf for the real MX has "log": refused senders are not',
      '              seen (mxallowd pf-conf) [no-log]',
      'note:         pools are switched off [no-pool]',
      'version:      mxallowd 2.0.0, Node 20.20.2, FreeBSD 14.1-RELEASE',
    ]);
  });

  it('is well with nothing but notes', () => {
    const findings = FINDINGS.filter(({ severity }) => severity === 'note');
    assert.deepEqual(statusLines({ ...STATUS, findings }).slice(0, 2), [
      'health:       ok',
      'note:         pools are switched off [no-pool]',
    ]);
  });

  it('says what fails', () => {
    const lines = statusLines({
      ...STATUS,
      restarts: 3,
      lastFrameAgoMs: undefined,
      lastAttemptAgoMs: undefined,
      lastRefusalAgoMs: undefined,
      lastAdmissionAgoMs: undefined,
      capture: { description: 'tcpdump on pflog0', received: 0, dropped: undefined },
      table: {
        description: '<mx-white> by /sbin/pfctl',
        entries: 1,
        pending: 1,
        failedCalls: 1,
        failingForMs: 95_000,
        lastError: 'pfctl: /dev/pf: Permission denied',
        room: undefined,
        isMissing: false,
        pfEnabled: false,
        foreign: { count: 0, some: [] },
        pfAgoMs: 185_000,
      },
      state: {
        path: '/var/db/mxallowd/state',
        writtenAgoMs: undefined,
        error: 'ENOSPC: no space left on device',
      },
      entries: { total: 0, most: 100_000, byOrigin: {}, known: 0, regulars: 0 },
    });
    assert.deepEqual(lines.slice(2), [
      'processes:    monitor 812, engine 815 as _mxallowd; the engine was started again',
      '              3 times',
      'up:           12d04h, since 2026-11-14 09:12:27',
      'last seen:    frame never, attempt never, refusal never, admission never',
      'capture:      tcpdump on pflog0: 0 frames, whether some were dropped is not',
      '              known',
      'table:        <mx-white> by /sbin/pfctl: 1 entry, pf is DISABLED as of 3m05s ago',
      '              1 change pending, 1 failed call, failing for 1m35s: pfctl:',
      '              /dev/pf: Permission denied',
      'state file:   /var/db/mxallowd/state: not written yet, last error: ENOSPC: no',
      '              space left on device',
      'log:          syslog by /usr/bin/logger: 3 lines lost',
      'entries:      0 of at most 100,000',
    ]);
  });

  it('says how it stands with queues, as one process', () => {
    const lines = statusLines({
      ...STATUS,
      system: 'Linux 6.18.44',
      enginePid: undefined,
      capture: undefined,
      table: undefined,
      queue: {
        description: 'NFQUEUE 23 to 26',
        received: 51_230,
        accepted: 8001,
        dropped: 43_227,
        lost: 2,
        full: 0,
        waiting: 1,
        ports: [812],
      },
      state: undefined,
    });
    assert.deepEqual(lines.slice(2), [
      'processes:    812, as _mxallowd',
      'up:           12d04h, since 2026-11-14 09:12:27',
      'last seen:    frame now, attempt 12s ago, refusal 3s ago, admission 1m05s ago',
      'queue:        NFQUEUE 23 to 26: 51,230 packets, 1 waiting now',
      '              8,001 accepted, 43,227 dropped',
      '              2 lost on their way to us, 0 found it full',
      'log:          syslog by /usr/bin/logger: 3 lines lost',
      'entries:      139 of at most 100,000: 118 attempt, 15 name, 6 pool',
      '              61 reached the real MX, 12 regulars among them',
    ]);
  });
});

describe('the text of mxallowd stats', () => {
  it('has grouped numbers below each other', () => {
    assert.deepEqual(statisticsLines(STATISTICS), [
      'up 12d04h',
      '',
      'connections',
      '  attempts at a fake MX              8,412',
      '  refusals at a real MX             41,003',
      '  admissions at a real MX            7,998',
      '',
      'entries',
      '  now                                  139',
      '  made                               5,560',
      '    for another address of a name      143',
      '    for a member of a pool              44',
      '    adopted from the table              12',
      '  renewed                            3,051',
      '  expired                            5,421',
      '    used                             4,377',
      '    never used                       1,044',
      '  gone for want of room                  0',
      '',
      'frames since the start',
      '  all                              159,855',
      '  not judged                       102,442',
      '    not-syn                         90,210',
      '    other-port                      12,232',
      '',
      'names',
      '  asked of DNS                      21,400',
      '  known from before                  8,093',
      '  failed                               311',
      '  not asked, for want of turns           0',
      '',
      'capture:      bpf on pflog0: 1,234,567 frames, 0 dropped',
      'table:        <mx-white> by /sbin/pfctl: 139 entries of at most 200,000, pf is',
      '              enabled as of 4s ago',
      '              0 changes pending, 2 failed calls',
      'log:          syslog by /usr/bin/logger: 3 lines lost',
    ]);
  });

  it('leaves out what there is not', () => {
    const bare = { ...STATISTICS, unjudged: {}, names: undefined, capture: undefined, table: undefined };
    const lines = statisticsLines(bare);
    assert.deepEqual(lines.slice(-5), [
      'frames since the start',
      '  all                              159,855',
      '  not judged                             0',
      '',
      'log:          syslog by /usr/bin/logger: 3 lines lost',
    ]);
  });
});
