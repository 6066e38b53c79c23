/** Mail servers that send: how each is set up with its clocks scaled, is given a message, and says what became of it. */

/** What a mail server is to know. */
export interface SenderSettings {
  /** for its files, the same inside and outside its machine */
  readonly folder: string;
  readonly hostName: string;
  /** how many real seconds its hour has */
  readonly hourSeconds: number;
  /** when it gives up a connection, in real seconds */
  readonly connectSeconds: number;
  /** in its own words, where its connections come from; unless told, the system decides */
  readonly from?: string;
}

/** A mail server as Debian has it. */
export interface SenderKind {
  readonly name: string;
  /** see scripts/unpack.mjs; undefined: it is installed */
  readonly unpacked: string | undefined;
  /** who owns its files; its installation would have made them */
  readonly users: readonly string[];
  /** its configuration, by path */
  readonly files: (settings: SenderSettings) => Readonly<Record<string, string>>;
  /** a shell script that starts it in the background, logging to {@link log} */
  readonly start: (settings: SenderSettings) => string;
  /** name of its log in its folder */
  readonly log: string;
  /** takes a message for a recipient from standard input */
  readonly submit: (sender: string, recipient: string) => readonly string[];
  /** has it try everything again at once; only where its own clock cannot be scaled */
  readonly again?: readonly string[];
  /** matches the log when a mail server has taken a recipient's message */
  readonly delivered: (recipient: string) => RegExp;
  /** matches the log when none has, in one of its runs: it will be tried again, or comes back */
  readonly heldUp: (recipient: string) => RegExp;
}

/** So many hours as an option takes them: whole seconds, one at the least. */
function hours(count: number, { hourSeconds }: SenderSettings): string {
  return `${Math.max(1, Math.round(count * hourSeconds))}s`;
}

/** Remembers over all messages when to try a host again, after six hours at the most. */
export const EXIM: SenderKind = {
  name: 'exim',
  unpacked: 'exim4-daemon-light',
  users: ['Debian-exim'],
  files: (settings) => ({
    // Debian's retry rules: F,2h,15m; G,16h,1h,1.5; F,4d,6h
    '/etc/exim4/exim4.conf': `
primary_hostname = ${settings.hostName}
log_file_path = ${settings.folder}/%slog
local_interfaces = 127.0.0.1
keep_environment =
tls_advertise_hosts =
retry_data_expire = ${hours(7 * 24, settings)}
retry_interval_max = ${hours(24, settings)}
begin routers
others:
  driver = dnslookup
  transport = smtp
begin transports
smtp:
  driver = smtp
  hosts_avoid_tls = *
  connect_timeout = ${settings.connectSeconds}s
  ${settings.from === undefined ? '' : `interface = ${settings.from}`}
begin retry
* * F,${hours(2, settings)},${hours(0.25, settings)}; G,${hours(16, settings)},${hours(1, settings)},1.5; F,${hours(96, settings)},${hours(6, settings)}
`,
  }),
  start: (settings) => `
    install -d -o Debian-exim -g Debian-exim /var/spool/exim4
    chown Debian-exim '${settings.folder}'
    exim4 -q${hours(0.5, settings)}`,
  log: 'mainlog',
  submit: (sender, recipient) => ['exim4', '-i', '-f', sender, recipient],
  delivered: (recipient) => new RegExp(` => ${recipient} `),
  heldUp: (recipient) => new RegExp(` (==|\\*\\*) ${recipient} `),
};

/** With HostStatusDirectory it remembers a host that refused for half an hour, over all messages. */
export const SENDMAIL: SenderKind = {
  name: 'sendmail',
  unpacked: 'sendmail-bin',
  users: ['smmta', 'smmsp'],
  files: (settings) => ({
    '/etc/mail/sendmail.mc': `divert(-1)
include(\`/usr/share/sendmail/cf/m4/cf.m4')
OSTYPE(\`debian')
define(\`confDOMAIN_NAME', \`${settings.hostName}')
define(\`confHOST_STATUS_DIRECTORY', \`/var/lib/sendmail/host_status')
define(\`confTO_HOSTSTATUS', \`${hours(0.5, settings)}')
define(\`confTO_ICONNECT', \`${settings.connectSeconds}s')
define(\`confTO_CONNECT', \`${settings.connectSeconds}s')
define(\`confMIN_QUEUE_AGE', \`0s')
FEATURE(\`accept_unresolvable_domains')
DAEMON_OPTIONS(\`Addr=127.0.0.1, Name=MTA')
${settings.from === undefined ? '' : `CLIENT_OPTIONS(\`Family=inet, Address=${settings.from}')`}
MAILER(\`local')
MAILER(\`smtp')
`,
    '/etc/mail/local-host-names': `${settings.hostName}\n`,
    '/etc/mail/aliases': '',
  }),
  start: (settings) => `
    install -d -o root -g smmsp -m 755 /var/lib/sendmail /var/lib/sendmail/host_status /var/spool/mqueue /run/sendmail/mta
    m4 /etc/mail/sendmail.mc >/etc/mail/sendmail.cf
    python3 -c '${SYSLOG}' '${settings.folder}/log' >/dev/null 2>&1 &
    while ! [ -S /dev/log ]; do sleep 0.05; done
    # Debian queue interval: 10m
    /usr/libexec/sendmail/sendmail -bd -q${hours(1 / 6, settings)}`,
  log: 'log',
  submit: (sender, recipient) => ['/usr/libexec/sendmail/sendmail', '-Am', '-i', '-f', sender, recipient],
  delivered: (recipient) => new RegExp(`to=<?${recipient}>?, .* stat=Sent `),
  heldUp: (recipient) => new RegExp(`to=<?${recipient}>?, .* stat=(?!Sent )`),
};

const SYSLOG = `
import os, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind("/dev/log")
os.chmod("/dev/log", 0o666)
with open(sys.argv[1], "ab", 0) as log:
    while True:
        log.write(listener.recv(65536).strip(b"\\n\\0") + b"\\n")`;

/** Leaves a way that refused alone for 15 seconds of ours; that time cannot be set. */
export const OPENSMTPD: SenderKind = {
  name: 'opensmtpd',
  unpacked: 'opensmtpd',
  users: ['opensmtpd', 'opensmtpq'],
  files: (settings) => ({
    '/etc/smtpd.conf': `
listen on socket
action "out" relay helo ${settings.hostName} ${settings.from === undefined ? '' : `src { ${settings.from} }`}
match from any for any action "out"
`,
  }),
  start: (settings) => `
    chgrp opensmtpq /usr/sbin/smtpctl
    chmod 2711 /usr/sbin/smtpctl
    smtpd -d -f /etc/smtpd.conf >'${settings.folder}/log' 2>&1 &
    while ! [ -S /run/smtpd.sock ] && ! [ -S /var/run/smtpd.sock ]; do sleep 0.05; done`,
  log: 'log',
  submit: (sender, recipient) => ['sendmail', '-i', '-f', sender, recipient],
  again: ['smtpctl', 'schedule', 'all'],
  delivered: (recipient) => new RegExp(`to=<${recipient}> .*result=.?Ok`),
  heldUp: (recipient) => new RegExp(`to=<${recipient}> .*result=.?(Temp|Perm)Fail`),
};

/** Remembers nothing over messages, as it is by default. */
export const POSTFIX: SenderKind = {
  name: 'postfix',
  unpacked: undefined,
  users: [],
  files: (settings) => ({
    '/etc/postfix/main.cf': `
compatibility_level = 3.6
maillog_file = ${settings.folder}/log
maillog_file_prefixes = ${settings.folder}
myhostname = ${settings.hostName}
mydestination =
alias_maps =
inet_interfaces = loopback-only
minimal_backoff_time = ${hours(1 / 12, settings)}
maximal_backoff_time = ${hours(4000 / 3600, settings)}
queue_run_delay = ${hours(1 / 12, settings)}
smtp_connect_timeout = ${settings.connectSeconds}s
${settings.from === undefined ? '' : `smtp_bind_address = ${settings.from}`}
`,
  }),
  // Debian's start script would fill the chroot
  start: () => `
    postconf -F '*/*/chroot = n'
    postfix start`,
  log: 'log',
  submit: (sender, recipient) => ['sendmail', '-i', '-f', sender, recipient],
  delivered: (recipient) => new RegExp(` to=<${recipient}>, .* status=sent `),
  heldUp: (recipient) => new RegExp(` to=<${recipient}>, .* status=(?!sent )`),
};
