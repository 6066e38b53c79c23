"""Sends raw packets and tells which TCP answers came: python3 raw_tcp.py <packets.json.

Each packet is {"family", "source", "destination", "port", "before": hex of IPv6 extension headers, "next": number of
the first of them, "data": bytes behind the TCP header, "fragment": bytes in the first fragment, 0 for none}. After the last packet the one named
"marker" is sent; its answer ends the wait, so that nobody has to guess how long "no answer" takes.
Prints {"source port": "SA" | "R" | ...}.
"""
import json, socket, struct, sys


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp_syn(family, source, destination, sport, size):
    data = bytes(size)
    head = struct.pack("!HHIIBBHHH", sport, 25, 1000, 0, 5 << 4, 2, 65535, 0, 0)
    a, b = socket.inet_pton(family, source), socket.inet_pton(family, destination)
    if family == socket.AF_INET:
        pseudo = a + b + struct.pack("!BBH", 0, 6, len(head) + size)
    else:
        pseudo = a + b + struct.pack("!II", len(head) + size, 6)
    return head[:16] + struct.pack("!H", checksum(pseudo + head + data)) + head[18:] + data


def packets(p):
    family = socket.AF_INET if p["family"] == 4 else socket.AF_INET6
    tcp = tcp_syn(family, p["source"], p["destination"], p["port"], p.get("data", 0))
    a, b = socket.inet_pton(family, p["source"]), socket.inet_pton(family, p["destination"])
    first = p.get("fragment", 0)
    pieces = [(0, tcp[:first], True), (first, tcp[first:], False)] if first else [(0, tcp, False)]
    for offset, piece, more in pieces:
        if family == socket.AF_INET:
            flags = (0x2000 if more else 0) | offset // 8
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(piece), p["port"], flags, 64, 6, 0) + a + b
            head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
            yield family, head + piece
        else:
            before, following = bytes.fromhex(p.get("before", "")), p.get("next", 6)
            if first:
                before = struct.pack("!BBHI", 6, 0, offset | (1 if more else 0), p["port"]) + b""
                following = 44
            payload = before + piece
            yield family, struct.pack("!IHBB", 6 << 28, len(payload), following, 64) + a + b + payload


def answer(frame):
    kind = struct.unpack("!H", frame[12:14])[0]
    ip = frame[14:]
    if kind == 0x0800 and ip[9] == 6:
        tcp = ip[(ip[0] & 15) * 4 :]
    elif kind == 0x86DD and ip[6] == 6:
        tcp = ip[40:]
    else:
        return None
    sport, dport = struct.unpack("!HH", tcp[:4])
    if sport != 25:
        return None
    flags = "".join(name for bit, name in ((1, "F"), (2, "S"), (4, "R"), (16, "A")) if tcp[13] & bit)
    return dport, flags


order = json.load(sys.stdin)
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sniffer.bind(("eth0", 0))
sniffer.settimeout(120)
senders = {f: socket.socket(f, socket.SOCK_RAW, socket.IPPROTO_RAW) for f in (socket.AF_INET, socket.AF_INET6)}
for p in order["packets"] + [order["marker"]]:
    for family, data in packets(p):
        senders[family].sendto(data, (p["destination"], 0))
seen = {}
while True:
    frame, (_, _, direction, *_) = sniffer.recvfrom(65535)
    if direction == 4:  # PACKET_OUTGOING
        continue
    found = answer(frame)
    if found is None:
        continue
    if found[0] == order["marker"]["port"]:
        break
    seen.setdefault(str(found[0]), found[1])
print(json.dumps(seen))
