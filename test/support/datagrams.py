"""Takes datagrams at a Unix socket as systemd does; a line of JSON for each: who has sent it, and what."""
import json
import socket
import struct
import sys

name = sys.argv[1]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
listener.bind('\0' + name[1:] if name.startswith('@') else name)
print(json.dumps({'ready': True}), flush=True)
while True:
    data, more, _, _ = listener.recvmsg(65536, socket.CMSG_SPACE(12))
    [(_, _, who)] = more
    print(json.dumps({'pid': struct.unpack('3i', who)[0], 'text': data.decode()}), flush=True)
