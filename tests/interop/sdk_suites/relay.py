"""A stdio server that is a pipe: what it reads goes to a Unix socket, and what comes from there is written.

    relay.py SOCKET
"""

import os
import socket
import sys
import threading


def copy(read, write):
    while part := read():
        write(part)


def write_all(part):
    while part:
        part = part[os.write(1, part) :]


peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])


def upwards():
    copy(lambda: os.read(0, 65536), peer.sendall)
    peer.shutdown(socket.SHUT_WR)


threading.Thread(target=upwards, daemon=True).start()
copy(lambda: peer.recv(65536), write_all)
