#!/usr/bin/env python3
"""Operations of ZooKeeper's protocol that kazoo does not send, byte by byte:
python3 zookeeper_operations.py FOLDER-OF-SERVER FOLDER-OF-CLI

Exit code 77: kazoo, whose test starts the servers, is not installed."""
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from ports import free_ports
from zookeeper_kazoo import DEADLINE_SECONDS, PROGRAMS, Cluster

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA = 1, 2, 3, 4, 5
SYNC, PING, MULTI, CLOSE_SESSION = 9, 11, 14, -11
SET_WATCHES_2, ADD_WATCH = 105, 106
CREATED, DELETED, DATA_CHANGED, CHILDREN_CHANGED = 1, 2, 3, 4
GET_CHILDREN = 8
AUTH, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER = 100, 103, 104
OPEN_TO_ALL = [(31, "world", "anyone")]


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def acl(entries):
    return struct.pack(">i", len(entries)) + b"".join(
        struct.pack(">i", permissions) + text(scheme) + text(name) for permissions, scheme, name in entries)


class Answer:
    """The body of a reply, read from the front."""

    def __init__(self, data):
        self.data = data

    def take(self, form):
        size = struct.calcsize(form)
        values = struct.unpack(form, self.data[:size])
        self.data = self.data[size:]
        return values[0] if len(values) == 1 else values

    def text(self):
        size = self.take(">i")
        if size < 0:
            return None
        value, self.data = self.data[:size], self.data[size:]
        return value.decode()

    def texts(self):
        return [self.text() for _ in range(self.take(">i"))]


class Raw:
    """A connection with a session."""

    def __init__(self, address, session=(0, bytes(16)), seen=0, read_only=False):
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), DEADLINE_SECONDS)
        self.events = []
        self.xid = 0
        self.zxid = 0
        self.send(struct.pack(">iqiq", 0, seen, 10000, session[0]) + text(session[1]) + bytes([read_only]))
        answer = Answer(self.receive())
        _, self.timeout_ms, number = answer.take(">iiq")
        self.session = (number, answer.data[4:20])
        self.is_read_only = answer.data[20:] == b"\1"

    def close(self):
        self.socket.close()

    def send(self, frame):
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError("the server closed the connection")
            data += more
        return data

    def receive(self):
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def take_event(self, answer, zxid):
        kind, _ = answer.take(">ii")
        self.events.append((kind, answer.text(), zxid))

    def call(self, kind, body=b"", xid=None):
        """(error, body) of the reply; events that come before it are kept."""
        self.xid += 1
        xid = self.xid if xid is None else xid
        self.send(struct.pack(">ii", xid, kind) + body)
        while True:
            answer = Answer(self.receive())
            got, zxid, error = answer.take(">iqi")
            if got == xid:
                self.zxid = max(self.zxid, zxid)
                return error, answer
            assert got == -1, f"the answer to {got} came for {xid}"
            self.take_event(answer, zxid)

    def wait_events(self, count):
        while len(self.events) < count:
            answer = Answer(self.receive())
            got, zxid, _ = answer.take(">iqi")
            assert got == -1, f"an answer to {got} instead of an event"
            self.take_event(answer, zxid)
        return self.events

    def create(self, path, data=b"", flags=0, entries=None):
        error, _ = self.call(CREATE, text(path) + text(data) + acl(entries or OPEN_TO_ALL) + struct.pack(">i", flags))
        return error

    def set_data(self, path, data):
        return self.call(SET_DATA, text(path) + text(data) + struct.pack(">i", -1))[0]

    def delete(self, path):
        return self.call(DELETE, text(path) + struct.pack(">i", -1))[0]

    def get_data(self, path):
        error, answer = self.call(GET_DATA, text(path) + b"\0")
        return answer.text() if error == 0 else error


class ShortMemory(unittest.TestCase):
    """What a server does not remember is lost, as in ZooKeeper."""

    def missed(self, *options):
        with tempfile.TemporaryDirectory() as folder:
            cluster = Cluster(1, pathlib.Path(folder), *options)
            try:
                client = Raw(cluster.addresses[0])
                self.assertEqual(client.create("/a"), 0)
                seen = client.zxid
                for value in ("1", "2", "3"):
                    self.assertEqual(client.set_data("/a", value), 0)
                self.assertEqual(set_watches(client, seen, ["/a"], []), 0)
                return [event[:2] for event in client.events]
            finally:
                client.close()
                cluster.close()

    def test_the_history_must_reach_back(self):
        self.assertEqual(self.missed(), 3 * [(DATA_CHANGED, "/a")])
        self.assertEqual(self.missed("--history-changes", "2"), [])
        self.assertEqual(self.missed("--no-watch-replay"), [])


class OneServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.cluster = Cluster(1, pathlib.Path(cls.folder.name), "--enforce-quotas", "--four-letter-words", "all")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()
        cls.folder.cleanup()

    def setUp(self):
        self.client = self.connect()
        self.base = f"/{self._testMethodName}"
        self.assertEqual(self.client.create(self.base), 0)

    def connect(self, **options):
        client = Raw(self.cluster.addresses[0], **options)
        self.addCleanup(client.close)
        return client

    def ephemerals(self, client, prefix):
        error, answer = client.call(GET_EPHEMERALS, text(prefix))
        self.assertEqual(error, 0)
        return answer.texts()

    def test_ephemerals_of_a_session_are_listed_by_prefix(self):
        other = self.connect()
        for name in ("b", "a", "ab"):
            self.assertEqual(self.client.create(f"{self.base}/{name}", flags=1), 0)
        self.assertEqual(other.create(f"{self.base}/other", flags=1), 0)
        every = [f"{self.base}/{name}" for name in ("a", "ab", "b")]
        for prefix in (None, "", "  ", "/", self.base):
            self.assertEqual(sorted(self.ephemerals(self.client, prefix)), every)
        self.assertEqual(sorted(self.ephemerals(self.client, f"{self.base}/a")), every[:2])
        self.assertEqual(self.ephemerals(self.client, f"{self.base}/c"), [])
        self.assertEqual(self.ephemerals(other, None), [f"{self.base}/other"])

    def test_quotas_are_accounted_and_enforced(self):
        client, quota = self.client, f"/zookeeper/quota{self.base}"
        self.assertEqual(client.create(f"{self.base}/a", "12345"), 0)
        self.assertEqual(client.create(quota), 0)
        self.assertEqual(client.create(f"{quota}/zookeeper_limits", "count=2,bytes=9=;countHardLimit=3"), 0)
        self.assertEqual(client.create(f"{quota}/zookeeper_stats", "count=-1,bytes=-1"), 0)
        self.assertEqual(client.get_data(f"{quota}/zookeeper_stats"), "count=2,bytes=5")
        self.assertEqual(client.create(f"{self.base}/b", "123456"), 0)  # beyond the soft limit of bytes
        self.assertEqual(client.create(f"{self.base}/c"), -125)
        self.assertEqual(client.delete(f"{self.base}/a"), 0)
        self.assertEqual(client.get_data(f"{quota}/zookeeper_stats"), "count=2,bytes=6")
        with self.assertRaises(subprocess.CalledProcessError) as refused:
            self.cluster.cli("set", f"{self.base}/c/d", "x")
        self.assertIn("quota", refused.exception.stderr)

    def word(self, word):
        host, port = self.cluster.addresses[0].split(":")
        with socket.create_connection((host, int(port)), DEADLINE_SECONDS) as one:
            one.sendall(word.encode())
            return b"".join(iter(lambda: one.recv(65536), b"")).decode()

    def values(self):
        return dict(line.split("\t") for line in self.word("mntr").splitlines())

    def test_words_tell_of_connections_and_their_reset(self):
        client = self.client
        self.assertEqual(client.get_data(self.base), "")
        sid = f"sid={hex(client.session[0])},"
        line, = [line for line in self.word("cons").splitlines() if sid in line]
        host, port = client.socket.getsockname()
        self.assertRegex(line, rf"^ /{host}:{port}\[1\]\(queued=0,recved=3,sent=3,{sid}lop=GETD,est=\d+,to=10000,"
                               rf"lcxid=0x2,lzxid={hex(client.zxid)},lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,"
                               r"maxlat=\d+\)$")
        self.assertIn(f" /{host}:{port}[1](queued=0,recved=3,sent=3)\n", self.word("stat"))
        self.assertRegex(self.word("cons"), r" /127\.0\.0\.1:\d+\[0\]\(queued=0,recved=1,sent=0\)\n\n$")
        self.assertEqual(self.word("crst"), "Connection stats reset.\n")
        self.assertIn(f" /{host}:{port}[1](queued=0,recved=0,sent=0)\n", self.word("stat"))
        self.assertGreater(int(self.values()["zk_packets_received"]), 0)
        self.assertEqual(self.word("srst"), "Server stats reset.\n")
        self.assertEqual(self.values()["zk_packets_received"], "0")
        self.assertEqual(client.get_data(self.base), "")
        self.assertEqual(self.values()["zk_packets_received"], "1")

    def test_words_tell_of_watches(self):
        client, sid = self.client, hex(self.client.session[0])
        other = self.connect()
        for one, path in ((client, "a"), (client, "b"), (other, "a")):
            self.assertEqual(one.call(EXISTS, text(f"{self.base}/{path}") + b"\1")[0], -101)
        self.assertEqual(client.call(GET_CHILDREN, text(self.base) + b"\1")[0], 0)  # not told: not one of data
        a, b, other_sid = f"{self.base}/a", f"{self.base}/b", hex(other.session[0])
        self.assertIn(f"{sid}\n\t{a}\n\t{b}\n", self.word("wchc"))
        self.assertIn(f"{a}\n\t{sid}\n\t{other_sid}\n{b}\n\t{sid}\n", self.word("wchp"))
        self.assertTrue(self.word("wchp").endswith("\n\n"))

    def test_words_tell_of_sessions_ephemerals_and_disks(self):
        client, sid = self.client, hex(self.client.session[0])
        before, size = [int(self.values()[f"zk_{name}"]) for name in ("ephemerals_count", "approximate_data_size")]
        self.assertEqual(client.create(f"{self.base}/e", flags=1), 0)
        self.assertEqual(int(self.values()["zk_ephemerals_count"]), before + 1)
        dump = self.word("dump")
        self.assertRegex(dump, r"^SessionTracker dump:\nSession Sets \(\d+\)/\(\d+\):\n\d+ expire at .* UTC \d{4}:\n\t0x")
        self.assertIn(f"\t{sid}\n", dump)
        owners = sum(line.startswith("0x") and line.endswith(":") for line in dump.splitlines())
        self.assertIn(f"\nephemeral nodes dump:\nSessions with Ephemerals ({owners}):\n", dump)
        self.assertIn(f"\n{sid}:\n\t{self.base}/e\n", dump)
        self.assertEqual(client.delete(f"{self.base}/e"), 0)
        self.assertEqual(int(self.values()["zk_ephemerals_count"]), before)
        self.assertEqual(int(self.values()["zk_approximate_data_size"]) - size, 0)
        sizes = dict(line.split(": ") for line in self.word("dirs").splitlines())
        self.assertEqual(sorted(sizes), ["datadir_size", "logdir_size"])
        self.assertGreater(int(sizes["logdir_size"]), 4096)

    def count(self, client, path):
        error, answer = client.call(GET_ALL_CHILDREN_NUMBER, text(path))
        return answer.take(">i") if error == 0 else error

    def test_all_nodes_below_one_are_counted(self):
        for path in ("a", "a/b", "a/b/c", "a/d", "ab"):
            self.assertEqual(self.client.create(f"{self.base}/{path}"), 0)
        self.assertEqual(self.count(self.client, self.base), 5)
        self.assertEqual(self.count(self.client, f"{self.base}/a"), 3)
        self.assertEqual(self.count(self.client, f"{self.base}/a/b/c"), 0)
        self.assertEqual(self.count(self.client, f"{self.base}/missing"), -101)
        self.assertEqual(self.client.create(f"{self.base}/secret", entries=[(31, "digest", "u:hash")]), 0)
        self.assertEqual(self.count(self.client, f"{self.base}/secret"), -102)
        whole = self.count(self.client, "/")
        self.assertEqual(self.client.create(f"{self.base}/one-more"), 0)
        self.assertEqual(self.count(self.client, "/"), whole + 1)

    def test_a_count_of_many_takes_turns_with_others(self):
        body = acl(OPEN_TO_ALL) + struct.pack(">i", 0)
        for number in range(10000):  # more than one turn counts
            self.client.send(struct.pack(">ii", number, CREATE) + text(f"{self.base}/{number}") + text(b"") + body)
        for _ in range(10000):
            self.client.receive()
        self.client.send(struct.pack(">ii", 1, GET_ALL_CHILDREN_NUMBER) + text(self.base))
        self.client.send(struct.pack(">ii", 2, EXISTS) + text(self.base) + b"\0")
        self.assertEqual(struct.unpack(">iqii", self.client.receive())[::3], (1, 10000))
        self.assertEqual(struct.unpack(">i", self.client.receive()[:4])[0], 2)


def set_watches(client, seen, persistent, recursive):
    empty = struct.pack(">i", 0)
    lists = [struct.pack(">i", len(paths)) + b"".join(map(text, paths)) for paths in (persistent, recursive)]
    return client.call(SET_WATCHES_2, struct.pack(">q", seen) + 3 * empty + b"".join(lists), xid=-8)[0]


class ThreeServers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.cluster = Cluster(3, pathlib.Path(self.folder.name), "--read-only-mode")
        self.addCleanup(self.cluster.close)

    def connect(self, place, **options):
        """The server may not know a leader yet, or any more: it closes the connection until then."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                client = Raw(self.cluster.addresses[place], **options)
                self.addCleanup(client.close)
                return client
            except (EOFError, OSError):
                self.assertLess(time.monotonic(), deadline, "no connection is taken")
                time.sleep(0.05)

    def word(self, place, word):
        host, port = self.cluster.addresses[place].split(":")
        with socket.create_connection((host, int(port)), DEADLINE_SECONDS) as one:
            one.sendall(word)
            return b"".join(iter(lambda: one.recv(65536), b""))

    def values(self, place):
        return dict(line.split("\t") for line in self.word(place, b"mntr").decode().splitlines())

    def test_the_leader_tells_of_those_who_follow(self):
        self.cluster.addresses.append(f"127.0.0.1:{free_ports(1)[0]}")
        self.cluster.processes.append(None)
        self.cluster.start(3)
        self.cluster.cli("add-learner", "--node", f"4={self.cluster.addresses[3]}")
        leader = self.cluster.leader()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (told := self.values(leader))["zk_synced_observers"] != "1":
            self.assertLess(time.monotonic(), deadline, told)
            time.sleep(0.05)
        self.assertEqual([told[f"zk_{name}"] for name in ("learners", "synced_followers", "synced_non_voting_followers",
                                                          "pending_syncs", "quorum_size", "server_state")],
                         ["3", "2", "0", "0", "4", "leader"])
        self.assertGreater(int(told["zk_leader_uptime"]), 0)
        self.assertLessEqual(int(told["zk_leader_uptime"]), int(told["zk_uptime"]))
        self.assertNotIn("zk_leader_uptime", self.values((leader + 1) % 3))
        self.assertEqual(self.values(3)["zk_server_state"], "observer")
        self.assertIn("\npeerType=1\n", self.word(3, b"conf").decode())
        self.assertEqual({self.values(place)["zk_approximate_data_size"] for place in (0, 1, 2)},
                         {told["zk_approximate_data_size"]})

    def test_lasting_watches_are_told_what_was_missed_on_another_server(self):
        writer, watcher = self.connect(0), self.connect(1)
        secret = [(31, "digest", "u:hash")]
        self.assertEqual(writer.create("/t"), 0)
        self.assertEqual(writer.create("/p"), 0)
        watcher.call(SYNC, text("/"))
        self.assertEqual(watcher.call(ADD_WATCH, text("/t") + struct.pack(">i", 1))[0], 0)
        self.assertEqual(watcher.call(ADD_WATCH, text("/p") + struct.pack(">i", 0))[0], 0)
        seen = watcher.zxid
        watcher.close()
        for step in (lambda: writer.create("/t/a"), lambda: writer.set_data("/t/a", "x"), lambda: writer.create("/other"),
                     lambda: writer.create("/t/secret", entries=secret), lambda: writer.create("/p/c"),
                     lambda: writer.set_data("/p/c", "x"), lambda: writer.delete("/t/a"), lambda: writer.delete("/t")):
            step()
        self.assertEqual(writer.delete("/t/secret"), 0)
        self.assertEqual(writer.delete("/t"), 0)
        again = self.connect(2, session=watcher.session, seen=seen)
        again.call(SYNC, text("/"))
        self.assertEqual(again.events, [])
        self.assertEqual(set_watches(again, seen, ["/p"], ["/t"]), 0)
        self.assertEqual([event[:2] for event in again.events],
                         [(CREATED, "/t/a"), (DATA_CHANGED, "/t/a"), (CHILDREN_CHANGED, "/p"), (DELETED, "/t/a"),
                          (DELETED, "/t")])
        zxids = [event[2] for event in again.events]
        self.assertEqual(zxids, sorted(zxids))
        self.assertGreater(zxids[0], seen)
        self.assertEqual(writer.create("/t"), 0)  # and on it goes, without one twice
        self.assertEqual(again.wait_events(6)[5][:2], (CREATED, "/t"))
        self.assertEqual(set_watches(again, 0, ["/p"], ["/t"]), 0)  # who has seen nothing has missed nothing
        self.assertEqual(len(again.events), 6)

    def test_without_a_leader_clients_may_read_that_ask_for_no_more(self):
        client = self.connect(0, read_only=True)
        self.assertFalse(client.is_read_only)
        self.assertEqual(client.create("/a", "value"), 0)
        for place in (1, 2):
            self.cluster.kill(place)
        reader = self.connect(0, read_only=True)
        self.assertTrue(reader.is_read_only)
        self.assertEqual(reader.session[0] >> 56, 0x7e)
        self.assertEqual(reader.get_data("/a"), "value")
        self.assertEqual(reader.get_data("/missing"), -101)
        self.assertEqual(reader.create("/b"), -119)
        self.assertEqual(reader.call(SYNC, text("/"))[0], -119)
        self.assertEqual(reader.call(MULTI, b"\xff\xff\xff\xff\1\xff\xff\xff\xff")[0], -119)
        self.assertEqual(reader.call(PING, xid=-2)[0], 0)
        with self.assertRaises(EOFError):
            Raw(self.cluster.addresses[0])
        with self.assertRaises(EOFError):
            Raw(self.cluster.addresses[0], session=(reader.session[0] + 1, bytes(16)), read_only=True)
        kept = Raw(self.cluster.addresses[0], session=client.session, read_only=True)
        self.assertEqual((kept.session, kept.is_read_only), (client.session, True))
        self.assertEqual(kept.call(CLOSE_SESSION)[0], -119)
        self.assertEqual(self.word(0, b"isro"), b"ro")
        self.assertIn(b"Mode: read-only\n", self.word(0, b"srvr"))
        self.assertIn(b"READ-ONLY mode; serving only read-only clients\n", self.word(0, b"stat"))
        self.cluster.start(1)
        with self.assertRaises(EOFError):  # there is a leader again: the client is to look for it
            reader.wait_events(1)
        again = self.connect(0, session=client.session, read_only=True)
        self.assertEqual((again.session, again.is_read_only), (client.session, False))
        self.assertEqual(again.create("/b"), 0)
        self.assertEqual(self.word(0, b"isro"), b"rw")


if __name__ == "__main__":
    PROGRAMS["server"] = str(pathlib.Path(sys.argv[1]) / "confer-server")
    PROGRAMS["cli"] = str(pathlib.Path(sys.argv[2]) / "confer-cli")
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], warnings="ignore")
