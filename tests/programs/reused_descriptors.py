"""Closes every descriptor but the standard ones, as daemons do, and uses the numbers for sockets: whose bytes arrive?"""

import os
import resource
import socket
import time

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
time.sleep(0.3)  # the capture is begun
os.closerange(3, 65536)
pairs = [socket.socketpair() for _ in range(700)]  # numbers to 1402
message = bytes(range(256))
deadline = time.monotonic() + 0.5
while time.monotonic() < deadline:
    kept = [bytearray(100) for _ in range(10_000)]  # something to write about
    for one, other in pairs:
        one.send(message)
        other.send(message)
    for one, other in pairs:
        for end in (one, other):
            received = end.recv(1 << 20)
            assert received == message, received
for one, other in pairs:
    for end in (one, other):
        end.setblocking(False)
        try:
            raise AssertionError(end.recv(1 << 20))
        except BlockingIOError:
            pass
print("all bytes are the program's")
