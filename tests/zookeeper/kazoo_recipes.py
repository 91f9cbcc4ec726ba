#!/usr/bin/env python3
"""The recipes of kazoo, ZooKeeper's client for Python, each while a leader dies or without that. Run by
with_servers.py.

Exit code 77: kazoo is not installed."""
import logging
import os
import sys
import threading
import time
import unittest

try:
    from kazoo.client import KazooClient, KazooState
    from kazoo.recipe.cache import TreeCache
    from kazoo.retry import KazooRetry
except ImportError:
    print("kazoo is not installed (Debian: python3-kazoo)")
    sys.exit(77)

DEADLINE_SECONDS = 60
WORKERS = 3


def ask(command):
    """Of with_servers.py."""
    print(f"\n{command}", flush=True)
    assert sys.stdin.readline() == "done\n"


def wait_until(what, is_so):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Room:
    """Tells when more than `limit` are inside at once."""

    def __init__(self, limit):
        self.limit = limit
        self.mutex = threading.Lock()
        self.inside = 0
        self.visits = []
        self.faults = []

    def visit(self, who):
        with self.mutex:
            self.inside += 1
            self.visits.append(who)
            if self.inside > self.limit:
                self.faults.append(f"{self.inside} inside")
        time.sleep(0.01)  # the time that the work inside takes
        with self.mutex:
            self.inside -= 1


class Recipes(unittest.TestCase):
    def setUp(self):
        self.base = f"/kazoo/{self._testMethodName}"
        self.clients = [self.connect() for _ in range(WORKERS)]

    def connect(self):
        client = KazooClient(hosts=os.environ["ZOOKEEPER_HOSTS"], timeout=20,
                             connection_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.5),
                             command_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.5))
        client.start(DEADLINE_SECONDS)
        self.addCleanup(lambda: (client.stop(), client.close()))
        return client

    def together(self, work, meanwhile=lambda: None):
        """Each client does the work in a thread of its own; all must end."""
        failures = []

        def run(number, client):
            try:
                work(number, client)
            except Exception as reason:  # pylint: disable=broad-except
                failures.append(repr(reason))

        threads = [threading.Thread(target=run, args=one, daemon=True) for one in enumerate(self.clients)]
        for thread in threads:
            thread.start()
        meanwhile()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
            self.assertFalse(thread.is_alive(), "a worker does not end")
        self.assertEqual(failures, [])

    def crash(self):
        ask("@kill-leader")
        ask("@start-killed")

    def test_locks_exclude_through_a_crash(self):
        room = Room(1)

        def work(number, client):
            lock = client.Lock(f"{self.base}/lock", str(number))
            for _ in range(10):
                with lock:
                    room.visit(number)

        self.together(work, self.crash)
        self.assertEqual((room.faults, len(room.visits)), ([], 10 * WORKERS))

    def test_readers_share_and_writers_do_not(self):
        first, second = self.clients[:2]
        reading = first.ReadLock(f"{self.base}/lock")
        self.assertTrue(reading.acquire(timeout=DEADLINE_SECONDS))
        other = second.ReadLock(f"{self.base}/lock")
        self.assertTrue(other.acquire(timeout=DEADLINE_SECONDS))
        other.release()
        writing = second.WriteLock(f"{self.base}/lock")
        self.assertFalse(writing.acquire(blocking=False))
        reading.release()
        self.assertTrue(writing.acquire(timeout=DEADLINE_SECONDS))
        writing.release()

    def test_semaphores_let_some_in(self):
        room = Room(2)

        def work(number, client):
            for _ in range(3):
                with client.Semaphore(f"{self.base}/semaphore", max_leases=2):
                    room.visit(number)

        self.together(work)
        self.assertEqual((room.faults, len(room.visits)), ([], 3 * WORKERS))

    def test_elections_have_one_winner_at_a_time_through_a_crash(self):
        room = Room(1)

        def work(number, client):
            client.Election(f"{self.base}/election", str(number)).run(lambda: room.visit(number))

        self.together(work, self.crash)
        self.assertEqual((room.faults, sorted(room.visits)), ([], list(range(WORKERS))))

    def test_queues_give_each_item_once(self):
        taken = []
        queue = self.clients[0].Queue(f"{self.base}/queue")
        for number in range(3 * WORKERS):
            queue.put(str(number).encode(), priority=50 if number else 60)

        def work(_, client):
            own = client.Queue(f"{self.base}/queue")
            for _ in range(3):
                item = None
                while item is None:  # a server may lag
                    item = own.get()
                taken.append(int(item))

        self.together(work)
        self.assertEqual(sorted(taken), list(range(3 * WORKERS)))

    def test_locking_queues_keep_an_item_until_it_is_done(self):
        first, second = [client.LockingQueue(f"{self.base}/queue") for client in self.clients[:2]]
        first.put_all([b"a", b"b"])
        self.clients[1].sync(self.base)
        self.assertEqual(first.get(DEADLINE_SECONDS), b"a")
        self.assertEqual(second.get(DEADLINE_SECONDS), b"b")
        self.assertTrue(first.consume())
        self.assertTrue(second.release())
        self.assertEqual(first.get(DEADLINE_SECONDS), b"b")
        self.assertTrue(first.consume())

    def test_barriers_hold_until_all_are_there(self):
        entered = []
        barrier = self.clients[0].Barrier(f"{self.base}/barrier")
        barrier.create()
        for client in self.clients:
            client.sync(self.base)

        def work(number, client):
            both = client.DoubleBarrier(f"{self.base}/double", WORKERS, str(number))
            both.enter()
            entered.append(number)
            both.leave()
            assert len(entered) == WORKERS, entered
            assert client.Barrier(f"{self.base}/barrier").wait(DEADLINE_SECONDS), "the barrier stays"

        def meanwhile():
            wait_until("all have entered", lambda: len(entered) == WORKERS)
            barrier.remove()

        self.together(work, meanwhile)

    def test_counters_count_each_change_once(self):
        def work(_, client):
            counter = client.Counter(f"{self.base}/counter")
            for _ in range(5):
                counter += 1

        self.together(work)
        self.clients[0].sync(self.base)
        self.assertEqual(self.clients[0].Counter(f"{self.base}/counter").value, 5 * WORKERS)

    def test_parties_know_who_is_there_through_a_crash(self):
        for kind in ("Party", "ShallowParty"):
            parties = [getattr(client, kind)(f"{self.base}/{kind}", f"guest-{number}")
                       for number, client in enumerate(self.clients)]
            for party in parties:
                party.join()
            self.crash()
            wait_until("all are seen", lambda parties=parties: sorted(parties[0]) == [f"guest-{n}" for n in range(WORKERS)])
            parties[1].leave()
            wait_until("one has left", lambda parties=parties: sorted(parties[0]) == ["guest-0", "guest-2"])

    def test_watches_and_caches_follow_the_tree_through_a_crash(self):
        writer, reader = self.clients[:2]
        values, children = [], []
        writer.ensure_path(f"{self.base}/n")
        reader.sync(self.base)
        reader.DataWatch(f"{self.base}/n", lambda data, stat: values.append(data))
        reader.ChildrenWatch(f"{self.base}/n", lambda names: children.append(sorted(names)))
        cache = TreeCache(self.clients[2], self.base)
        cache.start()
        self.addCleanup(cache.close)
        for number in range(3):
            writer.retry(writer.set, f"{self.base}/n", str(number).encode())
            writer.retry(writer.ensure_path, f"{self.base}/n/{number}")
            if number == 1:
                # kazoo 2.8 forgets a watch of children that it is setting while the connection breaks.
                wait_until("two children", lambda: children and children[-1] == ["0", "1"])
                self.crash()
        wait_until("the last value", lambda: values and values[-1] == b"2")
        wait_until("all children", lambda: children and children[-1] == ["0", "1", "2"])
        wait_until("the cache", lambda: cache.get_data(f"{self.base}/n") and cache.get_data(f"{self.base}/n").data == b"2"
                   and sorted(cache.get_children(f"{self.base}/n") or []) == ["0", "1", "2"])

    def test_a_set_is_shared_out(self):
        partitioners = [client.SetPartitioner(f"{self.base}/set", set=tuple(range(6)), time_boundary=0.2,
                                               identifier=f"member-{number}")
                        for number, client in enumerate(self.clients)]
        self.addCleanup(lambda: [one.finish() for one in partitioners])

        def is_shared():
            for one in partitioners:
                if one.release:
                    one.release_set()
            return (all(one.acquired for one in partitioners)
                    and sorted(item for one in partitioners for item in one) == list(range(6)))

        wait_until("each item is somebody's", is_shared)

    def test_sessions_and_transactions_go_on_through_a_crash(self):
        client, other = self.clients[:2]
        states = []
        client.add_listener(states.append)
        session = client.client_id[0]
        client.create(f"{self.base}/e", ephemeral=True, makepath=True)
        self.crash()
        transaction = other.transaction()
        transaction.create(f"{self.base}/a")
        transaction.set_data(f"{self.base}/a", b"x")
        transaction.check(f"{self.base}/a", 1)
        results = other.retry(transaction.commit)
        self.assertEqual([type(one).__name__ for one in results], ["str", "ZnodeStat", "bool"])
        self.assertEqual(client.retry(client.exists, f"{self.base}/e").ephemeralOwner, session)
        self.assertNotIn(KazooState.LOST, states)


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    unittest.main(warnings="ignore")
