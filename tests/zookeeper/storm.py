#!/usr/bin/env python3
"""Mutated requests of ZooKeeper's protocol, to a server that must serve on and hold no more memory than before.

    storm.py SERVER-FOLDER CLI-FOLDER [--frames N] [--seed N] [--growth MIB]

The requests are those of the fuzzer's corpus. Counted is what the server says that it received. Ten times what
was made is removed, and the server's memory looked at: in the second half it may not grow any more."""
import argparse
import os
import pathlib
import random
import socket
import struct
import sys
import tempfile
import threading

from jute import Reader, Writer
from servers import Confer, confer_programs

CORPUS = pathlib.Path(__file__).resolve().parents[1] / "fuzz/corpus/zookeeper_request"
ROUNDS = 10
ATTACKERS = 64
BATCH = 12
PATIENCE_SECONDS = 1
PING, PING_XID = 11, -2
# Requests whose connection goes on.
LASTING = {*range(1, 10), 11, 12, *range(14, 20), 21, 22, 101, *range(103, 108)}
DEADLINE_SECONDS = 60
# What is kept on purpose is full soon.
OPTIONS = ("--zookeeper-reconfig", "--read-only-mode", "--history", "1MiB", "--history-changes", "4096",
           "--cache", "4MiB", "--checkpoint-records", "4096", "--zookeeper-session-timeout", "4s..10s", "--four-letter-words", "all")
NUMBERS = [-1, 0, 1, -2, 2, 5, 6, -8, -4, 99, 127, 128, 255, 256, 1 << 16, 1 << 20, (1 << 31) - 1, -(1 << 31)]
BYTES = b"\0\1\x7f\x80\xff/\n."
DELETE, SET_DATA, GET_CHILDREN, SET_ACL, CREATE, GET_DATA, AUTH = 2, 5, 8, 7, 1, 4, 100
NO_PASSWORD = bytes(16)


class Mutator:
    def __init__(self, seeds, dice):
        self.seeds, self.dice = seeds, dice
        self.lasting = [seed for seed in seeds if len(seed) >= 8 and struct.unpack(">i", seed[4:8])[0] in LASTING]
        self.ending = [seed for seed in seeds if seed not in self.lasting]
        self.changes = [self.flip, self.number, self.byte, self.cut, self.insert, self.repeat, self.splice, self.header]

    def frame(self):
        dice = self.dice
        # Of those that end the connection few are enough: what is behind them is not received.
        body = bytearray(dice.choice(self.ending if dice.randrange(40) == 0 else self.lasting))
        for _ in range(dice.choice((0, 1, 1, 2, 3, 6))):
            dice.choice(self.changes)(body)
        size = len(body)
        if dice.randrange(400) == 0:
            size = dice.choice(NUMBERS) if dice.randrange(2) else size + dice.randrange(-8, 64)
        return struct.pack(">i", size) + body

    def place(self, body):
        return self.dice.randrange(len(body) + 1)

    def flip(self, body):
        if body:
            body[self.dice.randrange(len(body))] ^= 1 << self.dice.randrange(8)

    def number(self, body):
        at = self.place(body)
        body[at:at + 4] = struct.pack(">i", self.dice.choice(NUMBERS))

    def byte(self, body):
        at = self.place(body)
        body[at:at + 1] = bytes([self.dice.choice(BYTES)])

    def cut(self, body):
        at = self.place(body)
        del body[at:at + self.dice.choice((1, 4, 8, len(body)))]

    def insert(self, body):
        at = self.place(body)
        body[at:at] = self.dice.randbytes(self.dice.choice((1, 4, 16)))

    def repeat(self, body):
        at = self.place(body)
        body[at:at] = body[at:at + self.dice.choice((4, 16, 64))] * self.dice.choice((1, 1, 50))

    def splice(self, body):
        other = self.dice.choice(self.seeds)
        body[self.place(body):] = other[self.dice.randrange(len(other) + 1):]

    def header(self, body):
        body[0:4] = struct.pack(">i", self.dice.choice((-1, -2, -4, -8, 7)))


class Client:
    """A connection with a session, which is taken up again by the next connection."""

    def __init__(self, address):
        host, port = address.split(":")
        self.address = (host, int(port))
        self.session, self.password = 0, NO_PASSWORD
        self.socket = None
        self.came = b""

    def connect(self):
        """False: refused, and the session forgotten."""
        self.close()
        self.came = b""
        self.socket = socket.create_connection(self.address, DEADLINE_SECONDS)
        connect = struct.pack(">iqiqi", 0, 0, 10000, self.session, 16) + self.password + b"\0"
        self.socket.sendall(struct.pack(">i", len(connect)) + connect)
        try:
            reader = Reader(self.receive())
        except (EOFError, OSError):
            return False
        reader.int()
        timeout, self.session, self.password = reader.int(), reader.long(), reader.buffer()
        return timeout > 0

    def receive(self):
        while len(self.came) < 4 or len(self.came) < 4 + struct.unpack(">i", self.came[:4])[0]:
            more = self.socket.recv(1 << 16)
            if not more:
                raise EOFError
            self.came += more
        size = 4 + struct.unpack(">i", self.came[:4])[0]
        frame, self.came = self.came[4:size], self.came[size:]
        return frame

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def pour(self, frames):
        """Send, and read what is answered. False: the server closed the connection, or waits for the rest of what it
        takes for a frame."""
        try:
            self.socket.settimeout(PATIENCE_SECONDS)
            self.socket.sendall(frames + struct.pack(">iii", 8, PING_XID, PING))
            while struct.unpack(">i", self.receive()[:4])[0] != PING_XID:
                pass
            return True
        except (OSError, EOFError):
            return False

    def call(self, kind, body=b"", xid=7):
        """The error, and the rest of the answer."""
        self.socket.sendall(struct.pack(">iii", 8 + len(body), xid, kind) + body)
        while True:
            answer = self.receive()
            if struct.unpack(">i", answer[:4])[0] == xid:
                return struct.unpack(">i", answer[12:16])[0], Reader(answer[16:])


def record(*fields):
    """Texts as bytes, numbers as ints, a list of permissions as a list."""
    writer = Writer()
    for field in fields:
        if isinstance(field, bytes):
            writer.buffer(field)
        elif isinstance(field, int):
            writer.int(field)
        else:
            writer.int(len(field))
            for permissions, scheme, name in field:
                writer.int(permissions)
                writer.buffer(scheme)
                writer.buffer(name)
    return writer.bytes


OPEN = [(31, b"world", b"anyone")]


class Keeper(Client):
    """A quiet client that must be served throughout, and puts things straight."""

    def start(self):
        assert self.connect()
        assert self.call(AUTH, record(0, b"digest", b"super:test"), -4)[0] == 0

    def work(self, number):
        path, value = b"/kept", str(number).encode()
        error, _ = self.call(CREATE, record(path, value, OPEN, 0))
        assert error == 0, error
        error, reader = self.call(GET_DATA, record(path) + b"\0")
        assert (error, reader.buffer()) == (0, value)
        assert self.call(DELETE, record(path, -1))[0] == 0

    def remove(self, path):
        error, reader = self.call(GET_CHILDREN, record(path or b"/") + b"\0")
        for name in reader.vector(reader.buffer) if error == 0 else []:
            child = path + b"/" + name
            self.remove(child)
            if child not in (b"/zookeeper", b"/zookeeper/quota", b"/zookeeper/config"):
                self.call(DELETE, record(child, -1))

    def put_straight(self):
        self.remove(b"")
        assert self.call(SET_ACL, record(b"/", OPEN, -1))[0] == 0
        assert self.call(SET_DATA, record(b"/", b"", -1))[0] == 0


class Attacker(threading.Thread):
    """A client that sends frames and comes back whenever it is thrown out, until `over`. Most resume the session: a
    new one for each connection would be another attack."""

    def __init__(self, address, seeds, dice, over):
        super().__init__(daemon=True)
        self.client = Client(address)
        self.mutator = Mutator(seeds, dice)
        self.over = over
        self.closed = 0

    def run(self):
        client = self.client
        while not self.over.is_set():
            if client.socket is None and not client.connect():
                client.close()
                client.session, client.password = 0, NO_PASSWORD
            elif not client.pour(b"".join(self.mutator.frame() for _ in range(BATCH))):
                self.closed += 1
                client.close()
        client.close()


class Storm:
    def __init__(self, server, seed):
        self.server = server
        self.seeds = [path.read_bytes() for path in sorted(CORPUS.iterdir())]
        self.dice = random.Random(seed)
        self.closed = 0

    def told(self, key):
        lines = dict(line.split("\t") for line in self.server.ask(0, b"mntr").decode().splitlines())
        return int(lines[f"zk_{key}"])

    def memory_mib(self):
        status = pathlib.Path(f"/proc/{self.server.processes[0].pid}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) / 1024

    def blow(self, frames, keeper):
        """Until the server has received so many more; the keeper is served meanwhile."""
        end = self.told("packets_received") + frames
        over = threading.Event()
        attackers = [Attacker(self.server.addresses[0], self.seeds, random.Random(self.dice.random()), over)
                     for _ in range(ATTACKERS)]
        for attacker in attackers:
            attacker.start()
        number = 0
        while self.told("packets_received") < end:
            keeper.work(number)
            number += 1
        over.set()
        for attacker in attackers:
            attacker.join(DEADLINE_SECONDS)
            assert not attacker.is_alive(), "a client gets no answer"
            self.closed += attacker.closed


def run(server, frames, seed, growth_mib_max):
    storm = Storm(server, seed)
    keeper = Keeper(server.addresses[0])
    keeper.start()
    before = storm.told("packets_received")
    descriptors = storm.told("open_file_descriptor_count")
    memory = []
    for _ in range(ROUNDS):
        storm.blow(frames // ROUNDS, keeper)
        keeper.put_straight()
        memory.append(storm.memory_mib())
        print(f"{storm.told('packets_received') - before:,} frames received, {storm.closed:,} connections closed; "
              f"{memory[-1]:.0f} MiB", flush=True)
    received = storm.told("packets_received") - before
    half = memory[ROUNDS // 2 - 1]
    print(f"{received:,} frames of seed {seed} received, {storm.closed:,} connections closed by the server, "
          f"{half:.1f} MiB after half of them and {memory[-1]:.1f} at the end")
    assert received >= frames
    assert memory[-1] - half <= growth_mib_max, f"its memory grew by {memory[-1] - half:.0f} MiB"
    assert storm.told("open_file_descriptor_count") <= descriptors + 2, "descriptors were kept"
    assert server.processes[0].poll() is None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server_folder")
    parser.add_argument("cli_folder")
    parser.add_argument("--frames", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--growth", type=int, default=6)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Confer(1, folder, confer_programs(arguments.server_folder, arguments.cli_folder), *OPTIONS)
        try:
            run(server, arguments.frames, arguments.seed, arguments.growth)
        except Exception:
            print(server.log(0)[-4000:], file=sys.stderr)
            raise
        finally:
            server.close()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    main()
