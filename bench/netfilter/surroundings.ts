// What a daemon with its default configuration finds on a machine: a DNS server, and syslog.
import { chmodSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { WORLD, type World } from '../../src/demo/world.js';
import { writeNameServer } from '../../test/support/dns.js';
import type { Scratch } from '../../test/support/cli.js';

/** Senders of 198.18.0.0/16 share a name of a domain that vouches for them; bots of 198.19.0.0/16 have a dial-up's. */
const ZONES = {
  'in-addr.arpa': '*.18.198 PTR host.sender-example.com.\n*.19.198 PTR pool.dialup.example.net.',
  'sender-example.com':
    'host A 203.0.113.9\nhost AAAA 2001:db8:1000::9\n@ TXT "v=spf1 ip4:198.18.0.0/15 -all"',
  'example.net': 'pool.dialup A 203.0.113.10',
};

/** Takes what logger(1) sends, as syslogd does, and throws it away. */
const SYSLOG = `
import os, socket
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind('/dev/log')
os.chmod('/dev/log', 0o666)
while True:
    listener.recv(65536)`;

/** /dev in the world becomes a folder of its own, so that nothing is put into the machine's. */
const OWN_DEV = `
mkdir /run/dev
mount -t tmpfs tmpfs /run/dev
for device in null zero full random urandom tty; do
  touch /run/dev/$device
  mount --bind /dev/$device /run/dev/$device
done
ln -s /proc/self/fd /run/dev/fd
mount --move /run/dev /dev`;

/** Sets them up; they end with the world. */
export async function furnish(world: World, scratch: Scratch): Promise<void> {
  chmodSync(scratch.folder, 0o755);
  const config = writeNameServer(scratch.folder, WORLD.other, ZONES);
  world.spawn('mx', ['nsd', '-d', '-c', config], { stdio: 'ignore' });
  const resolv = scratch.path('resolv.conf');
  writeFileSync(resolv, `nameserver ${WORLD.other}\n`);
  await world.script(`
    target=$(readlink -m /etc/resolv.conf)
    case $target in
    /run/*) mkdir -p "$(dirname "$target")" && touch "$target" ;;
    esac
    mount --bind '${resolv}' "$target"`);
  await world.script(OWN_DEV);
  world.spawn('mx', ['python3', '-c', SYSLOG], { stdio: 'ignore' });
  // nothing here is measured until both are there
  while ((await world.run('mx', ['test', '-S', '/dev/log'])).status !== 0) await sleep(20);
}
