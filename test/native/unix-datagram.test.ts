import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { endianness } from 'node:os';
import { after, describe, it } from 'node:test';
import { loadLibc } from '../../src/native/libc.js';
import { datagramSender, type SendDatagram, unixAddress } from '../../src/native/unix-datagram.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { Datagrams, datagramsUnavailable } from '../support/datagrams.js';

const libc = await loadLibc();

describe('the address of a Unix socket', () => {
  // AF_UNIX is 1, in the machine's order
  const family = endianness() === 'LE' ? '0100' : '0001';
  const hex = (name: string): string | undefined => {
    const address = unixAddress(name);
    return address === undefined ? undefined : Buffer.from(address).toString('hex');
  };

  it('is a path with a NUL behind it, or an abstract name with one before it and none behind', () => {
    assert.equal(hex('/run/x'), `${family}2f72756e2f7800`);
    assert.equal(hex('@run/x'), `${family}0072756e2f78`);
  });

  it('may have 107 bytes behind or before the NUL, and no more', () => {
    for (const first of ['/', '@']) {
      const longest = first === '/' ? `/${'a'.repeat(106)}` : `@${'a'.repeat(107)}`;
      assert.equal(unixAddress(longest)?.length, 110);
      assert.equal(unixAddress(`${longest}a`), undefined);
    }
  });

  it('is nothing else', () => {
    for (const name of ['', 'run/x', './x', 'vsock:2:9']) assert.equal(unixAddress(name), undefined);
  });
});

describe(
  'a datagram to a Unix socket',
  { skip: datagramsUnavailable() ?? (libc.ok ? undefined : libc.message) },
  () => {
    const scratch = new Scratch();
    const send = (name: string, text: string): void => {
      const address = unixAddress(name);
      const sender: SendDatagram | undefined = libc.ok ? datagramSender(libc.libc) : undefined;
      assert.ok(address !== undefined && sender !== undefined);
      sender(address, text);
    };
    after(() => scratch.remove());

    for (const [kind, name] of [
      ['a path', scratch.path('notify')],
      ['an abstract name', `@${scratch.path('notify')}`],
    ] as const) {
      it(`arrives by ${kind}, as ours`, async () => {
        const socket = await Datagrams.open(name);
        send(name, 'READY=1');
        send(name, 'zwei\nZeilen: ö');
        await until('both have come', () => socket.received.length === 2);
        socket.close();
        const { pid } = process;
        assert.deepEqual(socket.received, [
          { pid, text: 'READY=1' },
          { pid, text: 'zwei\nZeilen: ö' },
        ]);
      });
    }

    it('that cannot be sent is an error with its number, and nothing stays open', () => {
      const open = (): number => readdirSync('/proc/self/fd').length;
      const before = open();
      for (let i = 0; i < 20; i++) {
        assert.throws(() => send(scratch.path('nobody'), 'x'), { name: 'SystemCallError', code: 'ENOENT' });
      }
      assert.equal(open(), before);
    });
  },
);
