// A status for people. Pure.
import { ORIGINS } from '../../control/answers.js';
import type {
  CaptureReport,
  HealthFinding,
  LogReport,
  QueueReport,
  Severity,
  StateReport,
  StatusReport,
  TableReport,
} from '../../control/protocol.js';
import { ago, counted, duration, grouped, localTime } from '../../terminal/human.js';
import { formatRows, type Row } from '../../terminal/table.js';

const TITLE_WIDTH = 14;

/** A report on the daemon's health, for people: what is wrong first. */
export function statusLines(report: StatusReport): string[] {
  return formatRows(
    [
      ...healthRows(report.findings),
      ['version', `mxallowd ${report.version}, Node ${report.node}, ${report.system}`],
      ['processes', processes(report)],
      ['up', `${duration(report.upMs)}, since ${localTime(report.startedAtMs)}`],
      ['last seen', lastSeen(report)],
      ...strangersRows(report),
      ...(report.capture === undefined ? [] : captureRows(report.capture)),
      ...(report.table === undefined ? [] : tableRows(report.table)),
      ...(report.queue === undefined ? [] : queueRows(report.queue)),
      ...(report.state === undefined ? [] : stateRows(report.state)),
      logRow(report.log),
      ...entryRows(report.entries),
      ...(report.domains === undefined ? [] : [domainsRow(report.domains)]),
    ],
    TITLE_WIDTH,
  );
}

const WORST_FIRST: readonly Severity[] = ['error', 'warning', 'note'];

function healthRows(findings: readonly HealthFinding[]): Row[] {
  const sorted = WORST_FIRST.flatMap((severity) =>
    findings.filter((finding) => finding.severity === severity),
  );
  const rows = sorted.map(({ severity, message, id }): Row => [severity, `${message} [${id}]`]);
  const isGood = findings.every(({ severity }) => severity === 'note');
  return isGood ? [['health', 'ok'], ...rows] : rows;
}

function processes({ pid, enginePid, user, restarts }: StatusReport): string {
  if (enginePid === undefined) return `${pid}, as ${user}`;
  const again = restarts === 0 ? '' : `; the engine was started again ${counted(restarts, 'time')}`;
  return `monitor ${pid}, engine ${enginePid} as ${user}${again}`;
}

function lastSeen(report: StatusReport): string {
  const { lastFrameAgoMs, lastAttemptAgoMs, lastRefusalAgoMs, lastAdmissionAgoMs } = report;
  const frame = `frame ${ago(lastFrameAgoMs)}, attempt ${ago(lastAttemptAgoMs)}`;
  return `${frame}, refusal ${ago(lastRefusalAgoMs)}, admission ${ago(lastAdmissionAgoMs)}`;
}

/** Nothing where strangers are dropped, as they always were. */
function strangersRows({ strangers, lastRedirectedAgoMs: last }: StatusReport): Row[] {
  if (strangers === 'drop' && last === undefined) return [];
  return [['strangers', `${strangers}: the last was redirected ${ago(last)}`]];
}

/** What came from the capture. */
export function captureRows({ description, received, dropped }: CaptureReport): Row[] {
  const lost =
    dropped === undefined ? 'whether some were dropped is not known' : `${grouped(dropped)} dropped`;
  return [['capture', `${description}: ${counted(received, 'frame')}, ${lost}`]];
}

/** How the pf table stands. */
export function tableRows(table: TableReport): Row[] {
  const room = table.room === undefined ? '' : ` of at most ${grouped(table.room)}`;
  const pf = pfWords(table);
  const { failedCalls, failingForMs, lastError } = table;
  const since = failingForMs === undefined ? '' : `, failing for ${duration(failingForMs)}`;
  const error = lastError === undefined ? '' : `: ${lastError}`;
  return [
    ['table', `${table.description}: ${counted(table.entries, 'entry', 'entries')}${room}${pf}`],
    [
      '',
      `${counted(table.pending, 'change')} pending, ${counted(failedCalls, 'failed call')}${since}${error}`,
    ],
  ];
}

/** What pf has said last, and when that was. */
function pfWords({ isMissing, pfEnabled, pfAgoMs }: TableReport): string {
  if (pfAgoMs === undefined) return ', pf has not answered yet';
  const there = isMissing === true ? ', it is NOT THERE' : '';
  const enabled = pfEnabled === undefined ? '' : `, pf is ${pfEnabled ? 'enabled' : 'DISABLED'}`;
  return `${there}${enabled} as of ${ago(pfAgoMs)}`;
}

/** What came through the queues. */
export function queueRows({
  description,
  received,
  accepted,
  dropped,
  lost,
  full,
  waiting,
}: QueueReport): Row[] {
  const found =
    full === undefined ? 'whether some found it full is not known' : `${grouped(full)} found it full`;
  const now = waiting === undefined ? '' : `, ${grouped(waiting)} waiting now`;
  return [
    ['queue', `${description}: ${counted(received, 'packet')}${now}`],
    ['', `${grouped(accepted)} accepted, ${grouped(dropped)} dropped`],
    ['', `${grouped(lost)} lost on their way to us, ${found}`],
  ];
}

function stateRows({ path, writtenAgoMs, error }: StateReport): Row[] {
  const written = writtenAgoMs === undefined ? 'not written yet' : `written ${ago(writtenAgoMs)}`;
  return [['state file', `${path}: ${written}${error === undefined ? '' : `, last error: ${error}`}`]];
}

/** Where log lines go, and how many did not get there. */
export function logRow({ description, lost }: LogReport): Row {
  return ['log', `${description}: ${counted(lost, 'line')} lost`];
}

function domainsRow({ count, networks }: NonNullable<StatusReport['domains']>): Row {
  return ['allow-domain', `${counted(count, 'domain')}, ${counted(networks, 'network')} let in`];
}

function entryRows({ total, most, byOrigin, known, regulars }: StatusReport['entries']): Row[] {
  const origins = Object.keys(ORIGINS).flatMap((origin) => {
    const value = byOrigin[origin as keyof typeof ORIGINS] ?? 0;
    return value === 0 ? [] : [`${grouped(value)} ${origin}`];
  });
  const parts = origins.length === 0 ? '' : `: ${origins.join(', ')}`;
  const used: Row[] =
    known === undefined || known === 0
      ? []
      : [['', `${grouped(known)} reached the real MX, ${counted(regulars ?? 0, 'regular')} among them`]];
  return [['entries', `${grouped(total)} of at most ${grouped(most)}${parts}`], ...used];
}
