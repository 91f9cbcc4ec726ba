#!/usr/bin/env python3
"""kazoo, ZooKeeper's client for Python, against three servers: python3 zookeeper_kazoo.py FOLDER-OF-SERVER FOLDER-OF-CLI

Exit code 77: kazoo is not installed."""
import logging
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from ports import free_ports

try:
    from kazoo.client import KazooClient, KazooState
    from kazoo.exceptions import (BadArgumentsError, BadVersionError, ConnectionLoss, InvalidACLError, NoChildrenForEphemeralsError, NodeExistsError,
                                  NewConfigNoQuorumError, NoAuthError, NoNodeError, NotEmptyError, ReconfigInProcessError,
                                  RolledBackError, SessionExpiredError)
    from kazoo.security import ACL, Id, make_digest_acl
except ImportError:
    print("kazoo is not installed (Debian: python3-kazoo)")
    sys.exit(77)

DEADLINE_SECONDS = 30
PROGRAMS = {}


class Cluster:
    """Servers as child processes, made a cluster."""

    def __init__(self, count, folder, *options):
        self.options = options
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        self.folder = folder
        self.processes = [None] * count
        for place in range(count):
            self.start(place)
        nodes = ",".join(f"{place + 1}={address}" for place, address in enumerate(self.addresses))
        self.cli("init", "--nodes", nodes)

    def start(self, place):
        self.processes[place] = subprocess.Popen(
            [PROGRAMS["server"], "--id", str(place + 1), "--server", self.addresses[place],
             "--data", str(self.folder / str(place + 1)), "--container-check-interval", "50ms",
             *self.options,
             "--zookeeper-super-digest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU="],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        host, port = self.addresses[place].split(":")
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not self.is_listening(host, int(port)):
            assert time.monotonic() < deadline and self.processes[place].poll() is None, "a server does not start"
            time.sleep(0.01)

    @staticmethod
    def is_listening(host, port):
        with socket.socket() as one:
            return one.connect_ex((host, port)) == 0

    def cli(self, *arguments):
        return subprocess.run([PROGRAMS["cli"], "--address", ",".join(self.addresses), *arguments], check=True,
                              capture_output=True, text=True, timeout=DEADLINE_SECONDS).stdout

    def leader(self):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:  # an election may be under way
            for line in self.cli("status").splitlines():
                if " leader " in line:
                    return int(line.split()[0]) - 1
        raise AssertionError("nobody leads")

    def kill(self, place):
        self.processes[place].kill()
        self.processes[place].wait()

    def close(self):
        for place in range(len(self.processes)):
            self.kill(place)


class Events:
    """What a watch was told, to be waited for."""

    def __init__(self):
        self.items = []
        self.changed = threading.Condition()

    def __call__(self, event):
        with self.changed:
            self.items.append((event.type, event.path))
            self.changed.notify_all()

    def wait(self, expected):
        with self.changed:
            self.changed.wait_for(lambda: len(self.items) >= len(expected), DEADLINE_SECONDS)
            assert self.items == expected, f"{self.items} instead of {expected}"


class OneServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.cluster = Cluster(1, pathlib.Path(cls.folder.name))

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()
        cls.folder.cleanup()

    def setUp(self):
        self.client = self.connect()
        self.base = f"/{self._testMethodName}"
        self.client.create(self.base)

    def connect(self, **options):
        client = KazooClient(hosts=",".join(self.cluster.addresses), **options)
        client.start(DEADLINE_SECONDS)
        self.addCleanup(lambda: (client.stop(), client.close()))
        return client

    def test_nodes_and_their_counters(self):
        client, path = self.client, f"{self.base}/n"
        self.assertEqual(client.create(path, b"one"), path)
        with self.assertRaises(NodeExistsError):
            client.create(path)
        with self.assertRaises(NoNodeError):
            client.create(f"{self.base}/missing/n")
        value, stat = client.get(path)
        self.assertEqual((value, stat.version, stat.dataLength, stat.ephemeralOwner), (b"one", 0, 3, 0))
        self.assertEqual(stat.czxid, stat.mzxid)
        self.assertEqual(client.set(path, b"two", version=0).version, 1)
        with self.assertRaises(BadVersionError):
            client.set(path, b"three", version=0)
        client.create(f"{path}/child")
        with self.assertRaises(NotEmptyError):
            client.delete(path)
        self.assertEqual(client.get_children(path), ["child"])
        client.delete(f"{path}/child")
        self.assertEqual(client.get(path)[1].cversion, 2)
        client.delete(path, version=1)
        self.assertIsNone(client.exists(path))

    def test_sequence_names_count_every_child(self):
        client = self.client
        first = client.create(f"{self.base}/q-", sequence=True)
        client.create(f"{self.base}/plain")
        client.delete(first)
        self.assertEqual(client.create(f"{self.base}/q-", sequence=True), f"{self.base}/q-0000000002")

    def test_ephemerals_go_with_their_session(self):
        events, other = Events(), self.connect()
        path = f"{self.base}/e"
        other.create(path, ephemeral=True)
        stat = self.client.exists(path, watch=events)
        self.assertEqual(stat.ephemeralOwner, other.client_id[0])
        with self.assertRaises(NoChildrenForEphemeralsError):
            other.create(f"{path}/child")
        other.stop()
        events.wait([("DELETED", path)])
        self.assertIsNone(self.client.exists(path))

    def test_a_transaction_is_all_or_nothing(self):
        good = self.client.transaction()
        good.create(f"{self.base}/a", b"1")
        good.create(f"{self.base}/a/b", b"2")
        good.set_data(f"{self.base}/a", b"3")
        good.check(f"{self.base}/a", 1)
        good.delete(f"{self.base}/a/b")
        results = good.commit()
        self.assertEqual((results[0], results[2].version, results[3:]), (f"{self.base}/a", 1, [True, True]))
        bad = self.client.transaction()
        bad.set_data(f"{self.base}/a", b"4")
        bad.check(f"{self.base}/a", 7)
        bad.delete(f"{self.base}/a")
        self.assertEqual([type(result).__name__ for result in bad.commit()],
                         ["RolledBackError", "BadVersionError", "RuntimeInconsistency"])
        self.assertEqual(self.client.get(f"{self.base}/a")[0], b"3")
        self.assertTrue(issubclass(RolledBackError, Exception))

    def test_one_shot_watches_fire_once_and_before_the_answer(self):
        data, children, missing = Events(), Events(), Events()
        self.client.get(self.base, watch=data)
        self.client.get_children(self.base, watch=children)
        self.client.exists(f"{self.base}/m", watch=missing)
        self.client.set(self.base, b"x")
        self.client.set(self.base, b"y")
        self.client.create(f"{self.base}/m")
        self.client.create(f"{self.base}/n")
        data.wait([("CHANGED", self.base)])
        children.wait([("CHILD", self.base)])
        missing.wait([("CREATED", f"{self.base}/m")])

    def test_lists_of_permissions_are_kept(self):
        self.client.add_auth("digest", "u:p")
        mine = make_digest_acl("u", "p", all=True)
        self.client.set_acls(self.base, [mine, mine])
        self.assertEqual(self.client.get_acls(self.base)[0], [mine])
        self.client.set_acls(self.base, [ACL(31, Id("auth", ""))])
        self.assertEqual(self.client.get_acls(self.base)[0], [mine])
        for illegal in (Id("world", "nobody"), Id("ip", "1.2.3"), Id("digest", "u"), Id("x509", "CN=a")):
            with self.assertRaises(InvalidACLError):
                self.client.set_acls(self.base, [ACL(31, illegal)])

    def test_permissions_are_enforced_on_every_route(self):
        owner, stranger, events = self.client, self.connect(), Events()
        owner.add_auth("digest", "u:p")
        mine = make_digest_acl("u", "p", all=True)
        path = owner.create(f"{self.base}/mine", b"secret", acl=[mine])
        owner.create(f"{path}/child")
        for attempt in (lambda: stranger.get(path), lambda: stranger.set(path, b"x"), lambda: stranger.exists(path),
                        lambda: stranger.get_children(path), lambda: stranger.create(f"{path}/new"),
                        lambda: stranger.delete(f"{path}/child"), lambda: stranger.get_acls(path),
                        lambda: stranger.set_acls(path, [ACL(31, Id("world", "anyone"))])):
            with self.assertRaises(NoAuthError):
                attempt()
        bad = stranger.transaction()
        bad.create(f"{self.base}/other")
        bad.check(path, -1)
        self.assertEqual([type(result).__name__ for result in bad.commit()], ["RolledBackError", "NoAuthError"])
        self.assertIsNone(owner.exists(f"{self.base}/other"))
        for command in (("get", path), ("set", path, "x"), ("list", path), ("remove", f"{path}/child")):
            with self.assertRaises(subprocess.CalledProcessError) as refused:
                self.cluster.cli(*command)
            self.assertIn("not permitted", refused.exception.stderr)
        stranger.exists(f"{self.base}/hidden", watch=events)
        owner.create(f"{self.base}/hidden", acl=[mine])
        stranger.exists(f"{self.base}/open", watch=events)
        owner.create(f"{self.base}/open")
        events.wait([("CREATED", f"{self.base}/open")])
        tree = self.cluster.cli("tree", self.base).splitlines()
        self.assertEqual(tree[1:], ["  hidden (not permitted)", "  mine (not permitted)", "  open"])
        seen = self.cluster.cli("watch", "-r", self.base, "--from", "1", "-n", "3")
        self.assertEqual([line.split()[2] for line in seen.splitlines()],
                         [self.base, f"{path}/child", f"{self.base}/open"])
        stranger.add_auth("digest", "super:test")
        self.assertEqual(stranger.get(path)[0], b"secret")
        stranger.set_acls(path, [ACL(1, Id("ip", "127.0.0.0/8")), ACL(31, Id("digest", "other:hash"))])
        self.assertEqual(owner.get(path)[0], b"secret")
        self.assertEqual([acl.id.id for acl in owner.get_acls(path)[0]], ["127.0.0.0/8", "other:x"])

    def test_both_kinds_of_client_see_one_tree(self):
        self.cluster.cli("set", f"{self.base}/native", "from the command line")
        self.assertEqual(self.client.get(f"{self.base}/native")[0], b"from the command line")
        self.client.set(self.base, b"from kazoo")
        self.assertEqual(self.cluster.cli("get", self.base), "from kazoo")

    def test_the_leader_removes_left_containers_and_old_ttl_nodes(self):
        client, events, gone = self.client, Events(), Events()
        self.cluster.cli("create", "--container", f"{self.base}/left")
        self.cluster.cli("create", "--container", f"{self.base}/new")
        client.create(f"{self.base}/left/x")
        client.exists(f"{self.base}/left", watch=events)
        client.delete(f"{self.base}/left/x")
        events.wait([("DELETED", f"{self.base}/left")])
        self.cluster.cli("create", "--ttl", "1h", f"{self.base}/young")
        begun = time.monotonic()
        self.cluster.cli("create", "--ttl", "300ms", f"{self.base}/old")
        if client.exists(f"{self.base}/old", watch=gone):
            gone.wait([("DELETED", f"{self.base}/old")])
        self.assertGreater(time.monotonic() - begun, 0.3)
        self.assertEqual(sorted(client.get_children(self.base)), ["new", "young"])

    def test_monitoring_words_are_answered(self):
        client = self.client
        self.assertEqual(client.command(b"ruok"), "imok")
        self.assertEqual(client.command(b"isro"), "rw")
        self.assertEqual(client.server_version()[:2], (3, 9))
        client.get(self.base, watch=Events())
        lines = client.command(b"srvr").splitlines()
        self.assertEqual([line.split(":")[0] for line in lines],
                         ["Zookeeper version", "Latency min/avg/max", "Received", "Sent", "Connections", "Outstanding",
                          "Zxid", "Mode", "Node count"])
        self.assertEqual(lines[7], "Mode: standalone")
        self.assertEqual(int(lines[6].split()[1], 16), client.last_zxid)
        values = dict(line.split("\t") for line in client.command(b"mntr").splitlines())
        self.assertEqual((values["zk_server_state"], values["zk_watch_count"]), ("standalone", "1"))
        self.assertEqual(int(values["zk_num_alive_connections"]), 1)
        self.assertIn("Mode: standalone", client.command(b"stat"))
        self.assertIn(f"clientPort={self.cluster.addresses[0].split(':')[1]}", client.command(b"conf").splitlines())
        self.assertIn("not in the whitelist", client.command(b"wchs"))

    def test_a_long_list_of_children_arrives_whole(self):
        pending = [self.client.create_async(f"{self.base}/child-{number:06d}") for number in range(20000)]
        for one in pending:
            one.get(timeout=DEADLINE_SECONDS)
        self.assertEqual(len(self.client.get_children(self.base)), 20000)


class ThreeServers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.cluster = Cluster(3, pathlib.Path(self.folder.name))
        self.addCleanup(self.cluster.close)

    def connect(self, count=3, **options):
        client = KazooClient(hosts=",".join(self.cluster.addresses[:count]), **options)
        client.start(DEADLINE_SECONDS)
        self.addCleanup(lambda: (client.stop(), client.close()))
        return client

    def test_a_session_and_its_watches_outlive_the_leader(self):
        states = []
        owner, other = self.connect(timeout=20), self.connect()
        owner.add_listener(states.append)
        session = owner.client_id[0]
        owner.create("/e", ephemeral=True)
        created = threading.Event()
        owner.DataWatch("/later", lambda value, stat: created.set() if stat else None)
        for _ in range(2):
            leader = self.cluster.leader()
            self.cluster.kill(leader)
            other.retry(other.ensure_path, f"/killed-{leader}")
            owner.retry(owner.ensure_path, f"/killed-{leader}")
            self.cluster.start(leader)
        other.retry(other.ensure_path, "/later")
        self.assertTrue(created.wait(DEADLINE_SECONDS))
        self.assertEqual(owner.client_id[0], session)
        self.assertEqual(other.exists("/e").ephemeralOwner, session)
        self.assertNotIn(KazooState.LOST, states)

    def config(self, text):
        lines = text.decode().split("\n")
        self.assertTrue(lines[-1].startswith("version="))
        return lines[:-1], int(lines[-1].removeprefix("version="), 16)

    def test_the_members_are_told_and_their_changes_watched(self):
        client, changed = self.connect(count=2), Events()  # not at the one that will be removed
        addresses = self.cluster.addresses
        every = [f"server.{place + 1}={address}:{address.split(':')[1]}:participant;{address}"
                 for place, address in enumerate(addresses)]
        value, stat = client.get("/zookeeper/config", watch=changed)
        lines, version = self.config(value)
        self.assertEqual((lines, version, stat.version), (every, stat.mzxid, -1))
        with self.assertRaises(NoAuthError):
            client.set("/zookeeper/config", b"x")
        self.cluster.cli("remove-member", "3")
        changed.wait([("CHANGED", "/zookeeper/config")])
        lines, later = self.config(client.retry(client.get, "/zookeeper/config")[0])
        self.assertEqual(lines, every[:2])
        self.assertGreater(later, version)

    def test_locks_exclude_each_other_while_the_leader_dies(self):
        clients = [self.connect(timeout=20) for _ in range(3)]
        inside, rounds, failures = [], [], []

        def work(client, name):
            lock = client.Lock("/lock", name)
            for _ in range(5):
                with lock:
                    inside.append(name)
                    if inside != [name]:
                        failures.append(list(inside))
                    time.sleep(0.01)  # the time that the work under the lock takes
                    inside.remove(name)
                    rounds.append(name)

        threads = [threading.Thread(target=work, args=(client, f"w{number}"))
                   for number, client in enumerate(clients)]
        for thread in threads:
            thread.start()
        self.cluster.kill(self.cluster.leader())
        for thread in threads:
            thread.join(2 * DEADLINE_SECONDS)
            self.assertFalse(thread.is_alive())
        self.assertEqual((failures, len(rounds)), ([], 15))


class Reconfiguration(unittest.TestCase):
    """Three servers that take reconfig, and two more that wait to be taken in."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.cluster = Cluster(3, pathlib.Path(self.folder.name), "--zookeeper-reconfig")
        self.addCleanup(self.cluster.close)
        for place in (3, 4):
            self.cluster.addresses.append(f"127.0.0.1:{free_ports(1)[0]}")
            self.cluster.processes.append(None)
            self.cluster.start(place)
        self.client = self.connect(1)

    def connect(self, number, auth="super:test"):
        client = KazooClient(hosts=self.cluster.addresses[number - 1])
        client.start(DEADLINE_SECONDS)
        self.addCleanup(lambda: (client.stop(), client.close()))
        if auth:
            client.add_auth("digest", auth)
        return client

    def member(self, number, role="participant"):
        port = self.cluster.addresses[number - 1].split(":")[1]
        return f"server.{number}=127.0.0.1:{port}:{port}:{role};127.0.0.1:{port}"

    def change(self, joining=None, leaving=None, members=None, version=-1):
        """The members afterwards, and the version."""
        data, stat = self.client.reconfig(joining, leaving, members, version)
        *members, last = data.decode().split("\n")
        self.assertEqual(stat.version, -1)
        self.assertEqual(stat.data_length, len(data))
        self.assertEqual(self.client.get("/zookeeper/config")[0], data)
        self.assertEqual(last, f"version={stat.last_modified_transaction_id:x}")
        return members, stat.last_modified_transaction_id

    def votes(self):
        """Who votes, as server 1 says."""
        words = [PROGRAMS["cli"], "--address", self.cluster.addresses[0], "status"]
        told = subprocess.run(words, check=True, capture_output=True, text=True, timeout=DEADLINE_SECONDS).stdout
        lines = [line.split() for line in told.splitlines()]
        return sorted(int(words[0]) for words in lines if words[3:4] == ["voter"])

    def test_a_server_joins_and_another_leaves(self):
        changes = []
        self.client.get("/zookeeper/config", watch=changes.append)
        members, _ = self.change(joining=self.member(4).replace(";127.0.0.1:", ";0.0.0.0:"))
        self.assertEqual(members, [self.member(number) for number in (1, 2, 3, 4)])
        self.assertEqual([(change.type, change.path) for change in changes], [("CHANGED", "/zookeeper/config")])
        self.assertEqual(self.votes(), [1, 2, 3, 4])
        members, _ = self.change(joining=self.member(5, "observer"), leaving="3")
        self.assertEqual(members, [self.member(1), self.member(2), self.member(4), self.member(5, "observer")])
        self.assertEqual(self.votes(), [1, 2, 4])

    def test_roles_are_exchanged_and_members_named_as_a_whole(self):
        self.change(joining=self.member(4, "observer"))
        members, _ = self.change(joining=",".join([self.member(4), self.member(3, "observer")]))
        self.assertEqual(members, [self.member(1), self.member(2), self.member(3, "observer"), self.member(4)])
        self.assertEqual(self.votes(), [1, 2, 4])
        whole = [self.member(1), self.member(4), self.member(5)]
        members, version = self.change(members=",".join(whole))
        self.assertEqual(members, whole)
        self.assertEqual(self.votes(), [1, 4, 5])
        self.assertEqual(self.change(members="\n".join([*whole, "version=1"])), (whole, version))

    def test_the_leader_leaves(self):
        leader = self.cluster.leader() + 1
        self.client = self.connect(leader % 3 + 1)
        members, _ = self.change(leaving=str(leader), joining=self.member(4))
        self.assertEqual(members, [self.member(number) for number in (1, 2, 3, 4) if number != leader])

    def test_the_server_that_is_asked_leaves_and_closes_its_connections(self):
        self.change(joining=self.member(4, "observer"))
        with self.assertRaises((ConnectionLoss, SessionExpiredError)):
            self.client.reconfig(None, None, ",".join([self.member(2), self.member(3)]))
        self.client = self.connect(2)
        self.assertEqual(self.change()[0], [self.member(2), self.member(3)])

    def test_the_server_that_is_asked_cannot_leave_and_come_again(self):
        before = self.change()
        with self.assertRaises(BadArgumentsError):
            self.client.reconfig(self.member(1, "observer"), None, None)
        self.assertEqual(self.change(), before)

    def test_a_version_that_is_not_the_present_one_changes_nothing(self):
        before, version = self.change()
        for other in (version + 1, version - 1, 0, -2):
            with self.assertRaises(BadVersionError):
                self.change(joining=self.member(4), version=other)
        self.assertEqual(self.change(version=version), (before, version))
        members, _ = self.change(joining=self.member(4), version=version)
        self.assertEqual(len(members), 4)

    def test_a_server_that_does_not_answer_is_not_taken_in(self):
        before, _ = self.change()
        self.cluster.kill(4)
        for spec in (self.member(5), self.member(5, "observer"), self.member(4).replace("server.4", "server.6")):
            with self.assertRaises(NewConfigNoQuorumError):
                self.change(joining=spec)
        with self.assertRaises(NewConfigNoQuorumError):
            self.change(joining=f"{self.member(4)},{self.member(5)}")
        self.assertEqual(self.change()[0], before)

    def test_only_who_may_write_the_node_may_change_the_members(self):
        stranger = self.connect(2, None)
        for client, error in ((stranger, NoAuthError), (self.client, None)):
            if error is None:
                client.set_acls("/zookeeper/config", [ACL(31, Id("world", "anyone"))])
                data, _ = stranger.reconfig(self.member(4, "observer"), None, None)
                self.assertIn(self.member(4, "observer").encode(), data)
            else:
                with self.assertRaises(error):
                    client.reconfig(self.member(4), None, None)
        self.assertEqual(self.votes(), [1, 2, 3])

    def test_changes_at_the_same_time_are_each_made_whole_or_refused(self):
        other = self.connect(3)
        calls = [self.client.reconfig_async(self.member(4), None, None, -1),
                 other.reconfig_async(self.member(5), None, None, -1)]
        done = []
        for number, call in zip((4, 5), calls):
            try:
                call.get(timeout=DEADLINE_SECONDS)
                done.append(number)
            except (ReconfigInProcessError, NewConfigNoQuorumError):
                pass
        self.assertTrue(done)
        members, _ = self.change()
        self.assertEqual(members, [self.member(number) for number in (1, 2, 3, *done)])


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    PROGRAMS["server"] = str(pathlib.Path(sys.argv[1]) / "confer-server")
    PROGRAMS["cli"] = str(pathlib.Path(sys.argv[2]) / "confer-cli")
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], warnings="ignore")
