import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseQueues, parseSocket } from '../../src/netfilter/proc.js';

// "%5u %6u %5u %1u %5u %5u %5u %8u %2d\n": number, owner, waiting, copy mode, copy range, full, lost, last id, 1
// "%pK %-3d %-10u %08x %-8d %-8d %-5d %-8d %-8u %-8lu\n": address, protocol, port, groups, received, sent, dump,
// references, lost, inode
describe("the kernel's list of netlink sockets", () => {
  const list = [
    'sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode',
    '00000000b2c1205c 4   29         00000000 9        0        0     2        9        411     ',
    '0000000064a163d2 12  0          00000000 0        0        0     2        0        413     ',
    '00000000d20a1b4f 12  29         00000000 4352     0        0     2        2653     25123   ',
    '00000000d20a1b50 12  4294963196 00000000 0        0        0     2        4294967295 25124   ',
    '',
  ].join('\n');

  it('tells what is unread and what was lost of a socket of netfilter', () => {
    assert.deepEqual(parseSocket(list, 29), { unread: 4352, lost: 2653 });
    assert.deepEqual(parseSocket(list, 4_294_963_196), { unread: 0, lost: 4_294_967_295 });
  });

  it('says nothing of one that is not there, nor in lines that are cut', () => {
    assert.equal(parseSocket(list, 30), undefined);
    assert.equal(parseSocket('00000000d20a1b4f 12  29         00000000 4352', 29), undefined);
    assert.equal(parseSocket('', 0), undefined);
  });
});

describe("the kernel's list of queues", () => {
  it('is read as the kernel prints it', () => {
    assert.deepEqual(parseQueues('   23     29     0 2   256     0     0        6  1\n'), [
      { queue: 23, port: 29, waiting: 0, full: 0, lost: 0 },
    ]);
  });

  it('may have many lines, and numbers as wide as their columns and wider', () => {
    const text = [
      '    0 4194303     3 2 65531    17     5       25  1',
      '65535 4294967295 4294967295 2 65531 4294967295 99999 4294967295  1',
      '   24     29     1 1     0     2     3        4  1',
      '',
    ].join('\n');
    assert.deepEqual(parseQueues(text), [
      { queue: 0, port: 4_194_303, waiting: 3, full: 17, lost: 5 },
      { queue: 65_535, port: 4_294_967_295, waiting: 4_294_967_295, full: 4_294_967_295, lost: 99_999 },
      { queue: 24, port: 29, waiting: 1, full: 2, lost: 3 },
    ]);
  });

  it('has owners that older kernels print as negative numbers', () => {
    const [row] = parseQueues('   23 -4100     0 2   256     0     0        6  1\n');
    assert.equal(row?.port, 4_294_963_196);
  });

  it('is read with eight fields, and with more than there are today', () => {
    const expected = [{ queue: 23, port: 29, waiting: 7, full: 8, lost: 9 }];
    assert.deepEqual(parseQueues('23 29 7 2 256 8 9 10'), expected);
    assert.deepEqual(parseQueues('23 29 7 2 256 8 9 10 1 11 12\n'), expected);
  });

  it('is empty when there is no queue', () => {
    for (const text of ['', '\n', ' \n\t\n']) assert.deepEqual(parseQueues(text), []);
  });

  it('is read without the lines that are none of it', () => {
    const lines = [
      'queue port waiting mode range full lost id one',
      '23 29 0 2 256 0 0',
      '23 29 0 2 256 0 x 6 1',
      '23 29 0 2 256 0 0 NaN 1',
      '23 29 0 2 Infinity 0 0 6 1',
      '\0\0\0\0\0\0\0\0',
      '24 30 1 2 256 2 0 6 1',
      '25 31 1 2 25',
    ];
    assert.deepEqual(parseQueues(lines.join('\n')), [{ queue: 24, port: 30, waiting: 1, full: 2, lost: 0 }]);
  });
});
