import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseIfconfig } from '../../src/check/ifconfig.js';
import { address } from '../support/observations.js';

const OPENBSD = `lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 32768
\tindex 4 priority 0 llprio 3
\tgroups: lo
\tinet6 ::1 prefixlen 128
\tinet6 fe80::1%lo0 prefixlen 64 scopeid 0x4
\tinet 127.0.0.1 netmask 0xff000000
vio0: flags=808843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,AUTOCONF4> mtu 1500
\tlladdr 52:54:00:12:34:56
\tindex 1 priority 0 llprio 3
\tgroups: egress
\tmedia: Ethernet autoselect
\tstatus: active
\tinet 192.0.2.3 netmask 0xffffff00 broadcast 192.0.2.255
\tinet 192.0.2.4 netmask 0xffffffff
\tinet6 2001:db8::3 prefixlen 64
pflog0: flags=141<UP,RUNNING,PROMISC> mtu 33136
\tindex 5 priority 0 llprio 3
\tgroups: pflog
`;
const FREEBSD = `em0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1500
\toptions=9b<RXCSUM,TXCSUM,VLAN_MTU,VLAN_HWTAGGING,VLAN_HWCSUM>
\tether 52:54:00:aa:00:01
\tinet 192.0.2.4 netmask 0xffffff00 broadcast 192.0.2.255
\tinet6 fe80::5054:ff:feaa:1%em0 prefixlen 64 scopeid 0x1
\tnd6 options=21<PERFORMNUD,AUTO_LINKLOCAL>
\tstatus: active
pflog0: flags=100<PROMISC> metric 0 mtu 33160
\tgroups: pflog
`;
const LINUX = `eth0: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1500
        inet 192.0.2.4  netmask 255.255.255.0  broadcast 192.0.2.255
        inet6 2001:db8::4  prefixlen 64  scopeid 0x0<global>
        RX packets 0  bytes 0 (0.0 B)
`;

describe('parseIfconfig', () => {
  it('reads interfaces, flags, groups and addresses of OpenBSD', () => {
    const interfaces = parseIfconfig(OPENBSD);
    assert.deepEqual([...interfaces.keys()], ['lo0', 'vio0', 'pflog0']);
    assert.deepEqual(interfaces.get('vio0'), {
      flags: ['UP', 'BROADCAST', 'RUNNING', 'SIMPLEX', 'MULTICAST', 'AUTOCONF4'],
      groups: ['egress'],
      addresses: [address('192.0.2.3'), address('192.0.2.4'), address('2001:db8::3')],
    });
    assert.deepEqual(interfaces.get('lo0')?.addresses, [
      address('::1'),
      address('fe80::1'),
      address('127.0.0.1'),
    ]);
    assert.deepEqual(interfaces.get('pflog0'), {
      flags: ['UP', 'RUNNING', 'PROMISC'],
      groups: ['pflog'],
      addresses: [],
    });
  });

  it('reads those of FreeBSD and Linux', () => {
    const interfaces = parseIfconfig(FREEBSD);
    assert.deepEqual(interfaces.get('em0')?.addresses, [
      address('192.0.2.4'),
      address('fe80::5054:ff:feaa:1'),
    ]);
    assert.deepEqual(interfaces.get('pflog0')?.flags, ['PROMISC']);
    assert.deepEqual(parseIfconfig(LINUX).get('eth0')?.addresses, [
      address('192.0.2.4'),
      address('2001:db8::4'),
    ]);
  });

  it('finds nothing in another text', () => {
    assert.equal(parseIfconfig('ifconfig: pflog0: no such interface\n\tinet 192.0.2.1\n').size, 0);
  });
});
