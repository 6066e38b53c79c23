import assert from 'node:assert/strict';
import { endianness } from 'node:os';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  QueuedPacket,
  QueueMessage,
  queueOf,
  type QueueSettings,
  Verdict,
  VERDICT_LENGTH,
  writeBind,
  writeUnbind,
  writeVerdict,
} from '../../src/netfilter/messages.js';
import { MessageWriter } from '../../src/netfilter/netlink.js';

/** Bytes of a number in network byte order. */
function net(size: 1 | 2 | 4, value: number): number[] {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntBE(value, 0, size);
  return [...bytes];
}

/** Bytes of a number in this machine's byte order. */
function host(size: 2 | 4, value: number): number[] {
  return endianness() === 'LE' ? net(size, value).reverse() : net(size, value);
}

/** What is written, in a buffer that is full of something else and begins at an odd place in memory. */
function written(write: (writer: MessageWriter) => void): number[] {
  const bytes = new Uint8Array(new ArrayBuffer(300), 7, 256).fill(0xee);
  const writer = new MessageWriter(bytes);
  write(writer);
  assert.ok(bytes.subarray(writer.length).every((byte) => byte === 0xee));
  return [...bytes.subarray(0, writer.length)];
}

const SETTINGS: QueueSettings = { maxLength: 0x01020304, copyRange: 0x100, failOpen: false };

/** struct nlmsghdr, struct nfgenmsg, and all attributes of NFQNL_CFG_CMD_BIND; 64 bytes. */
const BIND = [
  // struct nlmsghdr: nlmsg_len, nlmsg_type (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG),
  // nlmsg_flags (NLM_F_REQUEST | NLM_F_ACK), nlmsg_seq, nlmsg_pid
  ...[...host(4, 64), ...host(2, 0x0302), ...host(2, 5), ...host(4, 0xa1b2c3d4), ...host(4, 0)],
  // struct nfgenmsg: nfgen_family (AF_UNSPEC), version (NFNETLINK_V0), res_id
  ...[0, 0, ...net(2, 0x1234)],
  // struct nlattr (nla_len, nla_type NFQA_CFG_CMD), struct nfqnl_msg_config_cmd: command (BIND), _pad, pf
  ...[...host(2, 8), ...host(2, 1), 1, 0, ...net(2, 0)],
  // NFQA_CFG_PARAMS, struct nfqnl_msg_config_params: copy_range, copy_mode (NFQNL_COPY_PACKET); padded to 4
  ...[...host(2, 9), ...host(2, 2), ...net(4, 0x100), 2, 0, 0, 0],
  // NFQA_CFG_QUEUE_MAXLEN
  ...[...host(2, 8), ...host(2, 3), ...net(4, 0x01020304)],
  // NFQA_CFG_MASK: NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO
  ...[...host(2, 8), ...host(2, 4), ...net(4, 5)],
  // NFQA_CFG_FLAGS: NFQA_CFG_F_GSO
  ...[...host(2, 8), ...host(2, 5), ...net(4, 4)],
];

describe('the message', () => {
  it('that binds a queue is, byte for byte, what the kernel expects', () => {
    assert.deepEqual(
      written((writer) => writeBind(writer, 0xa1b2c3d4, 0x1234, SETTINGS)),
      BIND,
    );
  });

  it('that binds it with fail-open differs in its flags only', () => {
    const failOpen = [...BIND.slice(0, -4), ...net(4, 5)];
    assert.deepEqual(
      written((writer) => writeBind(writer, 0xa1b2c3d4, 0x1234, { ...SETTINGS, failOpen: true })),
      failOpen,
    );
  });

  it('that binds it takes the largest numbers', () => {
    const most = { maxLength: 0xffff_ffff, copyRange: 0xffff_ffff, failOpen: false };
    const message = written((writer) => writeBind(writer, 0xffff_ffff, 0xffff, most));
    const expected = [...BIND];
    expected.splice(8, 4, 0xff, 0xff, 0xff, 0xff);
    expected.splice(18, 2, 0xff, 0xff);
    expected.splice(32, 4, 0xff, 0xff, 0xff, 0xff);
    expected.splice(44, 4, 0xff, 0xff, 0xff, 0xff);
    assert.deepEqual(message, expected);
  });

  it('that gives a queue up', () => {
    assert.deepEqual(
      written((writer) => writeUnbind(writer, 7, 23)),
      [
        // struct nlmsghdr: NFQNL_MSG_CONFIG, NLM_F_REQUEST | NLM_F_ACK
        ...[...host(4, 28), ...host(2, 0x0302), ...host(2, 5), ...host(4, 7), ...host(4, 0)],
        // struct nfgenmsg
        ...[0, 0, ...net(2, 23)],
        // struct nfqnl_msg_config_cmd: NFQNL_CFG_CMD_UNBIND
        ...[...host(2, 8), ...host(2, 1), 2, 0, ...net(2, 0)],
      ],
    );
  });

  /** struct nlmsghdr (NLM_F_REQUEST, no sequence), struct nfgenmsg, NFQA_VERDICT_HDR. */
  const verdict = (type: number, queue: number, what: number, id: number[]): number[] => [
    ...[...host(4, 32), ...host(2, 0x0300 | type), ...host(2, 1), ...host(4, 0), ...host(4, 0)],
    ...[0, 0, ...net(2, queue)],
    // struct nfqnl_msg_verdict_hdr: verdict (NF_DROP 0, NF_ACCEPT 1), id
    ...[...host(2, 12), ...host(2, 2), ...net(4, what), ...id],
  ];

  it('that is a verdict for one packet: NFQNL_MSG_VERDICT', () => {
    const message = written((writer) =>
      writeVerdict(writer, QueueMessage.VERDICT, 23, 0x01020304, Verdict.ACCEPT),
    );
    assert.deepEqual(message, verdict(1, 23, 1, [1, 2, 3, 4]));
  });

  it('that accepts with a mark has it behind the verdict: NFQA_MARK, in network order', () => {
    const mark = [...host(2, 8), ...host(2, 3), 0xfe, 0xdc, 0xba, 0x98];
    for (const [type, message] of [
      [1, QueueMessage.VERDICT],
      [3, QueueMessage.VERDICT_BATCH],
    ] as const) {
      const bytes = written((writer) => writeVerdict(writer, message, 23, 7, Verdict.MARK, 0xfedc_ba98));
      const [, , , , ...rest] = [...verdict(type, 23, 1, net(4, 7)), ...mark];
      assert.deepEqual(bytes, [...host(4, VERDICT_LENGTH), ...rest]);
      assert.equal(bytes.length, VERDICT_LENGTH);
    }
  });

  it('that is a verdict for all packets up to one: NFQNL_MSG_VERDICT_BATCH; ids are signed here', () => {
    assert.deepEqual(
      written((writer) => writeVerdict(writer, QueueMessage.VERDICT_BATCH, 0xfffe, -2, Verdict.DROP)),
      verdict(3, 0xfffe, 0, [0xff, 0xff, 0xff, 0xfe]),
    );
  });

  it('stands right behind the one before, and where it was after clear()', () => {
    const both = written((writer) => {
      writeVerdict(writer, QueueMessage.VERDICT, 9, 9, Verdict.ACCEPT);
      writer.clear();
      assert.equal(writer.length, 0);
      writeVerdict(writer, QueueMessage.VERDICT, 23, 1, Verdict.DROP);
      writeVerdict(writer, QueueMessage.VERDICT_BATCH, 24, 2, Verdict.ACCEPT);
    });
    assert.deepEqual(both, [...verdict(1, 23, 0, net(4, 1)), ...verdict(3, 24, 1, net(4, 2))]);
  });
});

/** enum nfqnl_attr_type */
const NFQA = { PACKET_HDR: 1, MARK: 3, INDEV: 5, OUTDEV: 6, PAYLOAD: 10, CAP_LEN: 13, PRIORITY: 21 } as const;
/** linux/netlink.h */
const NLA_F_NESTED = 0x8000;
const NLA_F_NET_BYTEORDER = 0x4000;

/** An attribute with its padding (0xdd, so that nobody takes it for content); its length can be made to lie. */
function attribute(type: number, content: readonly number[], length = 4 + content.length): number[] {
  const padding = new Array<number>(-content.length & 3).fill(0xdd);
  return [...host(2, length), ...host(2, type), ...content, ...padding];
}

/** struct nfqnl_msg_packet_hdr: packet_id, hw_protocol (ETH_P_IP), hook. */
function packetHeader(id: number, hook: number): number[] {
  return attribute(NFQA.PACKET_HDR, [...net(4, id), ...net(2, 0x0800), hook]);
}

const HEADER = packetHeader(0x01020304, 3);
const IN_DEVICE = attribute(NFQA.INDEV, net(4, 17));
const PAYLOAD = attribute(NFQA.PAYLOAD, [0x45, 0, 0, 20, 1]);

/** Where the attributes begin in {@link Place}: not at 0. */
const FROM = 20;

/** A message in memory that goes on behind it, with attributes that nobody should read. */
class Place {
  readonly packet = new QueuedPacket();
  readonly bytes: Uint8Array;
  readonly words: Uint16Array;

  constructor(readonly attributes: readonly number[]) {
    const behind = [...packetHeader(0x66666666, 6), ...PAYLOAD, ...IN_DEVICE, ...PAYLOAD];
    const size = FROM + attributes.length + behind.length;
    this.bytes = new Uint8Array((size + 7) & ~3);
    this.bytes.fill(0xee, 0, FROM).set([...attributes, ...behind], FROM);
    this.words = new Uint16Array(this.bytes.buffer);
  }

  /** @param length - of the attributes */
  parse(length = this.attributes.length): boolean {
    return this.packet.parse(this.bytes, this.words, FROM, FROM + length);
  }

  /** The packet's bytes. */
  get payload(): number[] {
    return [...this.bytes.subarray(this.packet.start, this.packet.end)];
  }
}

/** What is read from a message; undefined when it is no packet. */
function read(...attributes: (readonly number[])[]) {
  const place = new Place(attributes.flat());
  if (!place.parse()) return undefined;
  const { id, hook, inInterface } = place.packet;
  return { id, hook, inInterface, payload: place.payload };
}

const WHOLE = { id: 0x01020304, hook: 3, inInterface: 17, payload: [0x45, 0, 0, 20, 1] };

describe('a packet of a queue', () => {
  it('is read from its attributes, in any order', () => {
    const [a, b, c] = [HEADER, IN_DEVICE, PAYLOAD];
    for (const order of [
      [a, b, c],
      [a, c, b],
      [b, a, c],
      [b, c, a],
      [c, a, b],
      [c, b, a],
    ]) {
      assert.deepEqual(read(...order), WHOLE);
    }
  });

  it('is read among attributes that nobody asked for, known and unknown', () => {
    const mark = attribute(NFQA.MARK, net(4, 1));
    const others = [
      attribute(NFQA.OUTDEV, net(4, 99)),
      attribute(NFQA.CAP_LEN, net(4, 1500)),
      attribute(0, []),
      attribute(NFQA.PRIORITY, [1]),
      attribute(0x3fff, new Array<number>(13).fill(7)),
      // the lower byte is that of the payload
      attribute(0x010a, [1, 2, 3, 4]),
    ];
    assert.deepEqual(read(mark, HEADER, ...others, IN_DEVICE, mark, PAYLOAD, ...others), WHOLE);
  });

  it('is read whatever the flags in the types of its attributes', () => {
    for (const flag of [NLA_F_NESTED, NLA_F_NET_BYTEORDER, NLA_F_NESTED | NLA_F_NET_BYTEORDER]) {
      const header = attribute(NFQA.PACKET_HDR | flag, [...net(4, 0x01020304), ...net(2, 0x0800), 3]);
      const device = attribute(NFQA.INDEV | flag, net(4, 17));
      const payload = attribute(NFQA.PAYLOAD | flag, [0x45, 0, 0, 20, 1]);
      assert.deepEqual(read(header, device, payload), WHOLE);
    }
  });

  it('has a signed id', () => {
    assert.equal(read(packetHeader(0xffff_fffe, 1))?.id, -2);
  });

  it('may come without payload: it has no bytes, and no interface', () => {
    assert.deepEqual(read(packetHeader(5, 1)), { id: 5, hook: 1, inInterface: 0, payload: [] });
    assert.deepEqual(read(HEADER, attribute(NFQA.PAYLOAD, []), IN_DEVICE), { ...WHOLE, payload: [] });
  });

  it('has nothing of the packet before', () => {
    const first = new Place([...HEADER, ...IN_DEVICE, ...PAYLOAD]);
    assert.ok(first.parse());
    const second = new Place(packetHeader(6, 1));
    assert.ok(first.packet.parse(second.bytes, second.words, FROM, FROM + 12));
    const { id, hook, inInterface, start, end } = first.packet;
    assert.deepEqual([id, hook, inInterface, end - start], [6, 1, 0, 0]);
  });

  it('is none without its header, or with one that is too short', () => {
    assert.equal(read(), undefined);
    assert.equal(read(IN_DEVICE, PAYLOAD), undefined);
    assert.equal(read(attribute(NFQA.PACKET_HDR, [0, 0, 0, 1, 8, 0]), PAYLOAD), undefined);
    // what is missing of it is there, but as padding or as another attribute
    assert.equal(read(attribute(NFQA.PACKET_HDR, [0, 0, 0, 1, 8, 0, 1], 10), PAYLOAD), undefined);
  });

  it('has no interface when that is too short to be one', () => {
    assert.deepEqual(read(HEADER, attribute(NFQA.INDEV, [0, 0, 17]), PAYLOAD), { ...WHOLE, inInterface: 0 });
  });

  it('is none when an attribute is shorter than its own header, or goes beyond the message', () => {
    for (const length of [0, 1, 3, 10, 11, 12, 0x7fff, 0xffff]) {
      // the content would be an attribute of its own
      const bad = attribute(NFQA.MARK, [...host(2, 4), ...host(2, 99)], length);
      assert.equal(read(HEADER, PAYLOAD, bad), undefined, `length ${length}, at the end`);
      if (length < 4 || length > 100) assert.equal(read(bad, HEADER, PAYLOAD), undefined, `length ${length}`);
    }
    const payload = [...PAYLOAD];
    payload.splice(0, 2, ...host(2, PAYLOAD.length + 1));
    assert.equal(read(HEADER, IN_DEVICE, payload), undefined);
  });

  it('cut at every byte is a packet only where all that has begun is complete', () => {
    const place = new Place([...HEADER, ...IN_DEVICE, ...PAYLOAD]);
    // from which length on what is expected: the header has 11 bytes, and the padding 1
    const steps = [
      { from: 0, expected: 'none' },
      { from: 11, expected: '0 0' },
      { from: 16, expected: 'none' },
      { from: 20, expected: '17 0' },
      { from: 24, expected: 'none' },
      { from: 29, expected: '17 5' },
    ];
    for (let length = 0; length <= place.attributes.length; length++) {
      const found = place.parse(length);
      const { inInterface, start, end } = place.packet;
      const expected = steps.filter(({ from }) => from <= length).at(-1)?.expected;
      assert.equal(found ? `${inInterface} ${end - start}` : 'none', expected, `${length} bytes`);
    }
  });

  it('of which queue is in the header of its message', () => {
    // struct nlmsghdr, struct nfgenmsg
    const message = [...new Array<number>(16).fill(0xee), 2, 0, ...net(2, 0xfedc), 1, 2, 3];
    assert.equal(queueOf(Uint8Array.from([...new Array<number>(1024).fill(0xcc), ...message]), 1024), 0xfedc);
  });
});

describe('random messages', () => {
  /** Parses, and checks that nothing outside the message is given. */
  function checkInside(attributes: readonly number[], length = attributes.length): boolean {
    const place = new Place(attributes);
    const found = place.parse(length);
    const { start, end } = place.packet;
    const inside = FROM <= start && start <= end && end <= FROM + length;
    assert.ok(inside, `${start} to ${end}, of ${FROM} to ${FROM + length}`);
    return found;
  }

  const anyType = fc.oneof(fc.constantFrom(...Object.values(NFQA)), fc.nat(0xffff));
  const anyAttribute = fc.oneof(
    fc
      .tuple(anyType, fc.array(fc.nat(255), { maxLength: 40 }))
      .map(([type, content]) => attribute(type, content)),
    fc
      .tuple(anyType, fc.array(fc.nat(255), { maxLength: 12 }), fc.oneof(fc.nat(40), fc.nat(0xffff)))
      .map(([type, content, length]) => attribute(type, content, length)),
  );

  it('of bytes at random are inside their bounds', () => {
    const anyBytes = fc.array(fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 5, 8, 10, 11)), { maxLength: 200 });
    fc.assert(
      fc.property(anyBytes, (bytes) => void checkInside(bytes)),
      { numRuns: 20_000 },
    );
  });

  it('of attributes at random, with lengths that lie and cuts, are inside their bounds; some are packets', () => {
    let packets = 0;
    fc.assert(
      fc.property(fc.array(anyAttribute, { maxLength: 8 }), fc.nat(), (attributes, cut) => {
        const bytes = [...HEADER, ...attributes.flat()];
        if (checkInside(bytes)) packets++;
        checkInside(bytes, cut % (bytes.length + 1));
      }),
      { numRuns: 20_000 },
    );
    assert.ok(packets > 1000, `${packets} packets`);
  });

  it('of right attributes, any others among them, are read as they were put', () => {
    const known: readonly number[] = [NFQA.PACKET_HDR, NFQA.INDEV, NFQA.PAYLOAD];
    const other = fc
      .tuple(
        anyType.filter((type) => !known.includes(type & 0x3fff)),
        fc.array(fc.nat(255), { maxLength: 20 }),
      )
      .map(([type, content]) => attribute(type, content));
    const number = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    const cases = fc.record({
      id: number,
      hook: fc.nat(255),
      inInterface: number,
      payload: fc.array(fc.nat(255), { maxLength: 100 }),
      others: fc.array(other, { maxLength: 4 }),
      order: fc.array(fc.nat(1000), { minLength: 7, maxLength: 7 }),
    });
    fc.assert(
      fc.property(cases, ({ id, hook, inInterface, payload, others, order }) => {
        const attributes = [
          packetHeader(id >>> 0, hook),
          attribute(NFQA.INDEV, net(4, inInterface >>> 0)),
          attribute(NFQA.PAYLOAD, payload),
          ...others,
        ];
        const shuffled = attributes
          .map((bytes, i) => ({ bytes, key: order[i] ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ bytes }) => bytes);
        assert.deepEqual(read(...shuffled), { id, hook, inInterface, payload });
      }),
      { numRuns: 5000 },
    );
  });
});
