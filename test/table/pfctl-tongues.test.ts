/**
 * What pfctl was seen to answer on FreeBSD 10.4, FreeBSD 15.1 and OpenBSD 7.8, in the order of recording and with one
 * state for each, byte for byte. The stand-in runs within this process; recordings of shell commands run the program.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PfctlStandIn, type PfctlResult } from '../support/pfctl-harness.js';
import { performHere } from '../support/pfctl-perform.js';
import { type PfState, tableKey } from '../support/pfctl-state.js';
import {
  argumentsOf,
  type RecordedCall,
  recordedCalls,
  secondsOf,
  stdinOf,
  timesIn,
} from '../support/recorded-pfctl.js';
import { RECORDED_SYSTEMS, type RecordedSystem } from '../support/recorded-pfctl-systems.js';
import { fixturePath } from '../support/recordings.js';

/** Gives the state what only a kernel with traffic has: times, counters, and the rules, which the stand-in does not make. */
function prepare(state: PfState, { command, stdout }: RecordedCall): void {
  const table = state.tables.get(tableKey('', 'mx-white'));
  for (const [address, cleared] of timesIn(stdout)) {
    if (table?.entries.has(address) === true) table.entries.set(address, cleared);
  }
  for (const [, name = '', time = ''] of stdout.matchAll(
    /^\S+\t(\S+)\n\tAddresses: .*\n\tCleared: {5}(.*)$/gm,
  )) {
    const shown = state.tables.get(tableKey('', name));
    if (shown !== undefined) shown.cleared = secondsOf(time);
  }
  state.hostId = /^Hostid: +(\S+)$/m.exec(stdout)?.[1] ?? state.hostId;
  state.checksum = /^Checksum: (\S+)$/m.exec(stdout)?.[1] ?? state.checksum;
  if (command.includes('-s info')) state.statistics = statisticsIn(stdout);
  if (/-\w*s rules/.test(command) || command.endsWith(' rules')) takeRules(state, stdout);
}

function takeRules(state: PfState, stdout: string): void {
  const lines = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('  ['));
  state.rules = lines.map((line) => line.replace(/^@\d+ /, '').replace(/<([^>:]+):\d+>/g, '<$1>'));
  state.evaluations = [...stdout.matchAll(/Evaluations: (\d+)/g)].map(([, count]) => Number(count));
  state.rulesPid = Number(/ pid (\d+) /.exec(stdout)?.[1] ?? 0);
}

function statisticsIn(stdout: string): PfState['statistics'] {
  const [, days, hours, minutes, rest] = /for (\d+) days (\d+):(\d+):(\d+) /.exec(stdout) ?? [];
  const values = new Map<string, number>();
  for (const [, name = '', value] of stdout.matchAll(/^ {2}(\S.*?) +(\d+) +(?:[\d.]+\/s)?$/gm)) {
    if (!values.has(name)) values.set(name, Number(value));
  }
  const value = (name: string): number => values.get(name) ?? 0;
  return {
    seconds: ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(rest),
    states: value('current entries'),
    searches: value('searches'),
    inserts: value('inserts'),
    removals: value('removals'),
    matches: value('match'),
    others: Object.fromEntries([...values].filter(([, count]) => count > 0)),
  };
}

/** What a recorded call and the stand-in must have in common. */
function comparable({ name, command }: RecordedCall, result: PfctlResult): PfctlResult {
  // how often the rules of FreeBSD 10.4 referred to the table
  if (name === '194-s-Tables-vv') {
    return { ...result, stdout: result.stdout.replace(/^(\tReferences: .*Rules: )\d+ +/m, '$1N ') };
  }
  // the bytes of ten calls at once come in any order
  if (name === '213-parallel-adds') return { ...result, stderr: [...result.stderr].sort().join('') };
  // the rules had traffic: packets, states and times, which the stand-in does not count
  if (name === '405-vvs-rules-at-66002')
    return { ...result, stdout: result.stdout.replace(/^ {2}\[.*\n/gm, '') };
  // wc(1) and grep -c of a BSD begin a line with blanks
  return command.startsWith('sh -c ') ? { ...result, stdout: result.stdout.replace(/^ +/gm, '') } : result;
}

/** Runs a shell command that calls `pfctl`. */
function runShell(standIn: PfctlStandIn, command: string): Promise<PfctlResult> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, PATH: `${standIn.directory}:${process.env['PATH'] ?? ''}` };
    const cwd = fixturePath('pfctl');
    const child = spawn('/bin/sh', ['-c', command], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (status) => {
      resolve({ stdout, stderr, status });
    });
  });
}

/** What the file of `-f` has: standard input, or one of those beside the recordings. */
function inputOf(
  system: RecordedSystem,
  call: RecordedCall,
  words: readonly string[],
): Parameters<typeof performHere>[2] {
  const name = words.find((word, index) => /^-\w*f$/.test(words[index - 1] ?? '') && word !== '-');
  const path = join(fixturePath('pfctl'), name ?? '');
  if (name === undefined) return { ok: true, text: system.stdin[call.name] ?? stdinOf(call) };
  if (!existsSync(path)) return { ok: false, error: 'No such file or directory' };
  return { ok: true, text: readFileSync(path, 'latin1') };
}

async function replay(
  standIn: PfctlStandIn,
  system: RecordedSystem,
  call: RecordedCall,
): Promise<PfctlResult> {
  const shell = /^sh -c (.*)$/.exec(call.command)?.[1];
  if (shell !== undefined) return runShell(standIn, shell);
  const words = system.words[call.name] ?? argumentsOf(call.command);
  const result = performHere(standIn.directory, words, inputOf(system, call, words));
  if (!call.command.endsWith('| wc -l')) return result;
  const lines = result.stdout.split('\n').length - 1;
  return { ...result, stdout: `${String(lines).padStart(8)}\n` };
}

/** What was done before a call. */
function goOn(standIn: PfctlStandIn, system: RecordedSystem, call: RecordedCall): void {
  for (const command of call.before ?? []) {
    const seconds = /^sleep (\d+)$/.exec(command)?.[1];
    if (seconds === undefined) performHere(standIn.directory, argumentsOf(command), undefined);
    else standIn.update((state) => (state.clock = (state.clock ?? 0) + Number(seconds)));
  }
  standIn.update((state) => {
    prepare(state, call);
    system.meanwhile[call.name]?.(state, call);
  });
}

for (const system of RECORDED_SYSTEMS) {
  test(`the stand-in answers as the recorded pfctl of ${system.flavour}`, async (t) => {
    const standIn = await PfctlStandIn.create({ flavour: system.flavour });
    t.after(() => standIn.dispose());
    standIn.update(system.begin);
    const calls = recordedCalls(system.folder);
    for (const call of calls) {
      if (call.name.slice(0, 3) in system.unknown) continue;
      goOn(standIn, system, call);
      await t.test(call.name, async () => {
        const { stdout, stderr, status } = call;
        const result = await replay(standIn, system, call);
        assert.deepEqual(comparable(call, result), comparable(call, { stdout, stderr, status }));
      });
    }
    assert.equal(calls.length, system.calls);
    const numbers = new Set(calls.map(({ name }) => name.slice(0, 3)));
    assert.deepEqual(
      Object.keys(system.unknown).filter((number) => !numbers.has(number)),
      [],
    );
  });
}
