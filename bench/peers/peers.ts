// What keeps spam out before a Postfix: nothing, what others use, and mxallowd. Each as its own manual sets it up.
import { spawnSync } from 'node:child_process';
import { loadQueueRule, StagedDaemon } from '../../src/demo/stage.js';
import { WORLD, type World } from '../../src/demo/world.js';

const [FAKE, FAKE6] = WORLD.fake;
const [REAL, REAL6] = WORLD.real;

/** The domains that mail goes to, by their mail servers, the preferred one first. */
export const DOMAINS = {
  'one.test': [REAL],
  'example.test': [FAKE, REAL],
  /** the second address is the same machine's: postscreen knows it as a backup */
  'backup.test': [REAL, FAKE],
} as const;

/** One of {@link DOMAINS}. */
export type Domain = keyof typeof DOMAINS;

/** Something that keeps spam out. */
export interface Peer {
  readonly name: string;
  readonly domain: Domain;
  /** for the server's main.cf */
  readonly settings: Readonly<Record<string, string>>;
  /** its listeners, for master.cf */
  readonly services: string;
  /** starts what runs beside Postfix, on the host mx */
  readonly beside?: (world: World, folder: string) => Promise<StagedDaemon | undefined>;
  /** a program that it needs, and its Debian package */
  readonly needs?: readonly [program: string, packageName: string];
  /** who is killed when "it" is killed: by the names of processes; the whole Postfix when there is none */
  readonly processes?: readonly string[];
}

const listener = (address: string, service: string): string =>
  `${address.includes(':') ? `[${address}]` : address}:25 inet n - n - ${service}\n`;
const SMTPD = [REAL, REAL6].map((address) => listener(address, '- smtpd')).join('');

/** postscreen listens for all, and passes on. */
const postscreen = (...addresses: readonly string[]): string =>
  [
    ...addresses.map((address) => listener(address, '1 postscreen')),
    'smtpd pass - - n - - smtpd\n',
    'dnsblog unix - - n - 0 dnsblog\n',
    'tlsproxy unix - - n - 0 tlsproxy\n',
  ].join('');

/** POSTSCREEN_README, "Tests after the 220 SMTP server greeting". */
const DEEP = {
  postscreen_greet_action: 'enforce',
  postscreen_pipelining_enable: 'yes',
  postscreen_pipelining_action: 'enforce',
  postscreen_non_smtp_command_enable: 'yes',
  postscreen_non_smtp_command_action: 'drop',
  postscreen_bare_newline_enable: 'yes',
  postscreen_bare_newline_action: 'enforce',
};

export const PEERS: readonly Peer[] = [
  { name: 'plain Postfix', domain: 'one.test', settings: {}, services: SMTPD },
  { name: 'nolisting alone', domain: 'example.test', settings: {}, services: SMTPD },
  {
    name: 'postscreen, after-220',
    domain: 'one.test',
    settings: DEEP,
    services: postscreen(REAL, REAL6),
  },
  {
    name: 'postscreen, MX policy',
    domain: 'backup.test',
    // POSTSCREEN_README, "Other considerations: MX policy test"
    settings: {
      postscreen_greet_action: 'enforce',
      postscreen_allowlist_interfaces: `!${FAKE} ![${FAKE6}] static:all`,
    },
    services: postscreen(REAL, REAL6, FAKE, FAKE6),
  },
  {
    name: 'postgrey',
    domain: 'one.test',
    settings: {
      smtpd_recipient_restrictions: 'reject_unauth_destination, check_policy_service inet:127.0.0.1:10023',
    },
    services: SMTPD,
    needs: ['postgrey', 'postgrey'],
    processes: ['postgrey'],
    beside: async (world, folder) => {
      const data = `${folder}/postgrey`;
      await world.script(`install -d -o postgrey '${data}'`, 'mx');
      world.spawn(
        'mx',
        ['postgrey', '--inet=127.0.0.1:10023', `--dbdir=${data}`, '--user=postgrey', '--group=nogroup'],
        { stdio: 'ignore' },
      );
      await world.script('while ! ss -Hltn | grep -q 127.0.0.1:10023; do sleep 0.1; done', 'mx');
      return undefined;
    },
  },
  {
    name: 'rspamd',
    domain: 'one.test',
    settings: { smtpd_milters: 'inet:127.0.0.1:11332', milter_default_action: 'tempfail' },
    services: SMTPD,
    needs: ['rspamd', 'rspamd, with redis-server'],
    processes: ['rspamd'],
    beside: async (world, folder) => {
      const own = `${folder}/rspamd`;
      await world.script(
        `install -d -o _rspamd '${own}' '${own}/local.d'; echo 'servers = "127.0.0.1";' >'${own}/local.d/redis.conf'`,
        'mx',
      );
      const redis = ['redis-server', '--bind', '127.0.0.1', '--save', '', '--dir', own];
      world.spawn('mx', redis, { stdio: 'ignore' });
      const variables = ['LOCAL_CONFDIR', 'DBDIR', 'RUNDIR', 'LOGDIR'].map((name) => `--var=${name}=${own}`);
      world.spawn('mx', ['rspamd', '-f', '-u', '_rspamd', '-g', '_rspamd', ...variables], {
        stdio: 'ignore',
      });
      await world.script('while ! ss -Hltn | grep -q 127.0.0.1:11332; do sleep 0.1; done', 'mx');
      return undefined;
    },
  },
  {
    name: 'mxallowd',
    domain: 'example.test',
    settings: {},
    services: SMTPD,
    processes: ['node', 'mxallowd'],
    beside: async (world) => {
      await loadQueueRule(world, '--queue-num 23');
      const daemon = StagedDaemon.start(world, ['-n', '23', '--dns-server', WORLD.other], () => undefined);
      await daemon.ready();
      return daemon;
    },
  },
];

/** @returns why a peer cannot be looked at here, if so */
export function peerUnavailable({ needs }: Peer): string | undefined {
  if (needs === undefined) return undefined;
  const [program, packageName] = needs;
  const { status } = spawnSync('sh', ['-c', `command -v ${program}`], {
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
  });
  return status === 0 ? undefined : `${program} not found (package ${packageName})`;
}
