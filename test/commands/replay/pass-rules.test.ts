import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { join } from 'node:path';
import { packageFolder } from '../../../src/version.js';
import { linesOf, runCli, Scratch } from '../../support/cli.js';
import { ipv4, join as concat, pflogHeader, tcp } from '../../support/frames.js';
import { pcapFile, type SavefileRecord } from '../../support/savefiles.js';

const CONFIG = join(packageFolder(), 'examples', 'recordings', 'mxallowd.conf');
const FAKE = '192.168.1.3';
const REAL = '192.168.1.4';
const PASS = 0;
const DROP = 1;
/** Numbers of rules as `pf-conf` has them: who is in the table, and all others. */
const TABLE = 0;
const REST = 3;

const scratch = new Scratch();
after(() => scratch.remove());

let sequence = 0;
let files = 0;

function syn(
  second: number,
  source: string,
  destination: string,
  action: number,
  ruleNumber: number,
): SavefileRecord {
  const packet = ipv4({ source, destination, payload: tcp({ sequence: ++sequence }) });
  return {
    seconds: 1_700_000_000 + second,
    fraction: 0,
    bytes: concat(pflogHeader({ action, ruleNumber }), packet),
  };
}

interface Result {
  readonly decisions: string[];
  readonly keptOut: readonly { readonly address: string }[];
  readonly letInByPf: readonly { readonly address: string; readonly admissions: number }[];
  readonly refusals: number;
  readonly admissionsByPf: number;
}

async function replay(records: readonly SavefileRecord[], byStdin = false): Promise<Result> {
  const file = scratch.file(`recording-${++files}.pcap`, pcapFile([...records]));
  const args = ['replay', '-c', CONFIG, '--json', byStdin ? '-' : file];
  const { stdout } = await runCli(args, byStdin ? file : undefined);
  const events = linesOf(stdout).map((line) => JSON.parse(line) as Record<string, string>);
  const summary = events.pop() as unknown as Omit<Result, 'decisions'>;
  return { ...summary, decisions: events.map(({ event, source, reason }) => `${event} ${source} ${reason}`) };
}

describe('a SYN to the real MX that pf let in, with no attempt before it', { concurrency: true }, () => {
  it('is one of somebody who was in the table before the recording begins', async () => {
    const { decisions, keptOut, letInByPf, refusals } = await replay([
      syn(0, '203.0.113.7', REAL, PASS, TABLE),
      syn(1, '203.0.113.8', REAL, DROP, REST),
      syn(60, '203.0.113.7', REAL, PASS, TABLE),
    ]);
    assert.deepEqual(decisions, [
      'admission 203.0.113.7 passed-by-pf',
      'refusal 203.0.113.8 not-whitelisted',
      'admission 203.0.113.7 passed-by-pf',
    ]);
    assert.deepEqual(
      keptOut.map(({ address }) => address),
      ['203.0.113.8'],
    );
    assert.deepEqual(letInByPf, [{ address: '203.0.113.7', admissions: 2 }]);
    assert.equal(refusals, 1);
  });

  const learning = [
    syn(0, '203.0.113.9', REAL, PASS, REST),
    syn(1, '203.0.113.7', FAKE, DROP, 1),
    syn(10, '203.0.113.7', REAL, PASS, TABLE),
    syn(11, '203.0.113.8', REAL, PASS, REST),
  ];

  it('is refused where rules let everybody in: nobody is dropped, and who is in the table comes by another rule', async () => {
    const { decisions, letInByPf, admissionsByPf } = await replay(learning);
    assert.deepEqual(decisions, [
      'refusal 203.0.113.9 not-whitelisted',
      'attempt 203.0.113.7 new-entry',
      'admission 203.0.113.7 whitelisted',
      'refusal 203.0.113.8 not-whitelisted',
    ]);
    assert.deepEqual([letInByPf, admissionsByPf], [[], 0]);
  });

  it('is judged by what has been read so far of what can be read only once', async () => {
    const { decisions } = await replay(learning, true);
    assert.equal(decisions[0], 'admission 203.0.113.9 passed-by-pf');
    assert.equal(decisions[3], 'refusal 203.0.113.8 not-whitelisted');
  });

  it('by another rule than the table is not refused where pf drops the rest', async () => {
    const { decisions } = await replay([...learning, syn(12, '203.0.113.66', REAL, DROP, 5)]);
    assert.equal(decisions[3], 'admission 203.0.113.8 passed-by-pf');
  });

  it('is not taken for the rule of the table when its sender has only just come to the fake MX', async () => {
    const { decisions } = await replay([
      syn(0, '203.0.113.7', FAKE, DROP, 1),
      // sooner than pf may have it in the table
      syn(1, '203.0.113.7', REAL, PASS, REST),
      syn(9, '203.0.113.7', REAL, PASS, TABLE),
      syn(10, '203.0.113.8', REAL, PASS, REST),
    ]);
    assert.equal(decisions[3], 'refusal 203.0.113.8 not-whitelisted');
  });

  it('is told apart in the summary, with what it may mean', async () => {
    const file = scratch.file('alone.pcap', pcapFile([syn(0, '203.0.113.7', REAL, PASS, TABLE)]));
    const { stdout } = await runCli(['replay', '-c', CONFIG, '--summary', file]);
    assert.match(stdout, /^ {2}by pf alone +1 \(no attempt recorded\)$/m);
    assert.match(stdout, /^LET IN BY PF, NO ATTEMPT RECORDED +ADMISSIONS\n203\.0\.113\.7 +1$/m);
    assert.match(stdout, /^If rules let everybody in for now, these are who would be kept out\.$/m);
    assert.doesNotMatch(stdout, /REFUSED, NEVER ADMITTED/);
  });
});
