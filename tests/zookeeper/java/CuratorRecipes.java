import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.retry.RetryForever;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;

/** The recipes of Apache Curator, TreeCache among them, which older programs use. */
@SuppressWarnings("deprecation")
final class CuratorRecipes {
    private static final int SESSION_TIMEOUT_MS = 20000;
    private static final int CONNECTION_TIMEOUT_MS = 15000;
    private static final int RETRY_MS = 50;
    private static final int WORKERS = 3;

    private CuratorRecipes() {
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static CuratorFramework connect() throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(Checks.HOSTS, SESSION_TIMEOUT_MS,
            CONNECTION_TIMEOUT_MS, new RetryForever(RETRY_MS));
        client.start();
        Checks.expect(client.blockUntilConnected((int) Checks.DEADLINE_MS, TimeUnit.MILLISECONDS), "connected");
        return client;
    }

    static List<CuratorFramework> connectAll() throws Exception {
        List<CuratorFramework> clients = new ArrayList<>();
        for (int i = 0; i < WORKERS; i++) {
            clients.add(connect());
        }
        return clients;
    }

    static void closeAll(List<CuratorFramework> clients) {
        clients.forEach(CuratorFramework::close);
    }

    interface Work {
        void run(CuratorFramework client) throws Exception;
    }

    /** Each client does the work in a thread of its own. `meanwhile` runs beside. */
    static void together(List<CuratorFramework> clients, Work work, Checks.Attempt meanwhile) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(clients.size());
        try {
            List<Future<?>> running = new ArrayList<>();
            for (CuratorFramework client : clients) {
                running.add(threads.submit(() -> {
                    work.run(client);
                    return null;
                }));
            }
            meanwhile.run();
            for (Future<?> one : running) {
                one.get(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS);
            }
        } finally {
            threads.shutdownNow();
        }
    }

    static void together(List<CuratorFramework> clients, Work work) throws Exception {
        together(clients, work, () -> { });
    }

    /** Tells when more than `limit` are inside at once. */
    static final class Room {
        private final int limit;
        private final AtomicInteger inside = new AtomicInteger();
        private final AtomicInteger visits = new AtomicInteger();
        private volatile String fault = null;

        Room(int limit) {
            this.limit = limit;
        }

        void visit() throws InterruptedException {
            int now = inside.incrementAndGet();
            if (now > limit) {
                fault = now + " are inside instead of " + limit;
            }
            Thread.sleep(5); // the time that the work inside takes
            visits.incrementAndGet();
            inside.decrementAndGet();
        }

        void expectVisits(int count) {
            Checks.expectEqual(fault, null);
            Checks.expectEqual(visits.get(), count);
        }
    }

    static void mutexesExclude(List<CuratorFramework> clients) throws Exception {
        Room room = new Room(1);
        together(clients, client -> {
            InterProcessMutex mutex = new InterProcessMutex(client, "/cu/mutex");
            for (int i = 0; i < 4; i++) {
                mutex.acquire();
                mutex.acquire();
                room.visit();
                mutex.release();
                mutex.release();
            }
        });
        room.expectVisits(4 * WORKERS);
    }

    static void readersShareAndWritersDoNot(List<CuratorFramework> clients) throws Exception {
        InterProcessReadWriteLock first = new InterProcessReadWriteLock(clients.get(0), "/cu/rw");
        InterProcessReadWriteLock second = new InterProcessReadWriteLock(clients.get(1), "/cu/rw");
        first.readLock().acquire();
        Checks.expect(second.readLock().acquire(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS), "two readers");
        second.readLock().release();
        Checks.expect(!second.writeLock().acquire(200, TimeUnit.MILLISECONDS), "no writer beside a reader");
        first.readLock().release();
        Checks.expect(second.writeLock().acquire(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS), "a writer alone");
        second.writeLock().release();
    }

    static void semaphoresLetSomeIn(List<CuratorFramework> clients) throws Exception {
        Room room = new Room(2);
        together(clients, client -> {
            InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(client, "/cu/semaphore", 2);
            for (int i = 0; i < 3; i++) {
                Lease lease = semaphore.acquire();
                room.visit();
                semaphore.returnLease(lease);
            }
        });
        room.expectVisits(3 * WORKERS);
    }

    static void barriersHoldUntilAllAreThere(List<CuratorFramework> clients) throws Exception {
        AtomicInteger entered = new AtomicInteger();
        DistributedBarrier barrier = new DistributedBarrier(clients.get(0), "/cu/barrier");
        barrier.setBarrier();
        together(clients, client -> {
            DistributedDoubleBarrier both = new DistributedDoubleBarrier(client, "/cu/double", WORKERS);
            both.enter();
            entered.incrementAndGet();
            both.leave();
            Checks.expectEqual(entered.get(), WORKERS);
            Checks.expect(new DistributedBarrier(client, "/cu/barrier").waitOnBarrier(Checks.DEADLINE_MS,
                TimeUnit.MILLISECONDS), "the barrier is taken away");
        }, () -> {
            Checks.waitUntil("all have entered", () -> entered.get() == WORKERS);
            barrier.removeBarrier();
        });
    }

    static void queuesGiveEachItemOnceInOrder(List<CuratorFramework> clients) throws Exception {
        SimpleDistributedQueue queue = new SimpleDistributedQueue(clients.get(0), "/cu/queue");
        List<String> taken = Collections.synchronizedList(new ArrayList<>());
        for (int i = 0; i < 10; i++) {
            Checks.expect(queue.offer(bytes("item-" + i)), "an item is offered");
        }
        Checks.expectEqual(new String(queue.peek(), StandardCharsets.UTF_8), "item-0");
        Checks.expectEqual(new String(queue.take(), StandardCharsets.UTF_8), "item-0");
        together(clients, client -> {
            SimpleDistributedQueue own = new SimpleDistributedQueue(client, "/cu/queue");
            for (int i = 0; i < 3; i++) {
                taken.add(new String(own.take(), StandardCharsets.UTF_8));
            }
        });
        Collections.sort(taken);
        Checks.expectEqual(String.join(" ", taken),
            "item-1 item-2 item-3 item-4 item-5 item-6 item-7 item-8 item-9");
    }

    static void countersCount(List<CuratorFramework> clients) throws Exception {
        together(clients, client -> {
            DistributedAtomicLong number = new DistributedAtomicLong(client, "/cu/number", new RetryNTimes(1000, 5));
            for (int i = 0; i < 5; i++) {
                Checks.expect(number.increment().succeeded(), "counted");
            }
        });
        DistributedAtomicLong number = new DistributedAtomicLong(clients.get(0), "/cu/number", new RetryNTimes(10, 5));
        clients.get(0).sync().forPath("/cu/number");
        Checks.expectEqual(number.get().postValue(), 5L * WORKERS);
        try (SharedCount first = new SharedCount(clients.get(0), "/cu/shared", 7);
             SharedCount second = new SharedCount(clients.get(1), "/cu/shared", 7)) {
            first.start();
            second.start();
            Checks.expectEqual(second.getCount(), 7);
            first.setCount(9);
            Checks.waitUntil("the other hears of the count", () -> second.getCount() == 9);
        }
    }

    static void cachesFollowTheTree(List<CuratorFramework> clients) throws Exception {
        CuratorFramework client = clients.get(0);
        client.create().creatingParentContainersIfNeeded().forPath("/cu/cache/a", bytes("1"));
        clients.get(1).sync().forPath("/cu");
        try (CuratorCache cache = CuratorCache.build(clients.get(1), "/cu/cache");
             org.apache.curator.framework.recipes.cache.TreeCache tree =
                 new org.apache.curator.framework.recipes.cache.TreeCache(clients.get(2), "/cu/cache")) {
            cache.start();
            tree.start();
            client.setData().forPath("/cu/cache/a", bytes("2"));
            client.create().creatingParentsIfNeeded().forPath("/cu/cache/b/c", bytes("3"));
            client.delete().forPath("/cu/cache/a");
            client.create().forPath("/cu/cache/a", bytes("4"));
            for (String[] expected : new String[][] {{"/cu/cache/a", "4"}, {"/cu/cache/b/c", "3"}}) {
                Checks.waitUntil("the cache has " + expected[0], () -> cache.get(expected[0])
                    .map(data -> new String(data.getData(), StandardCharsets.UTF_8).equals(expected[1])).orElse(false));
                Checks.waitUntil("the tree has " + expected[0], () -> tree.getCurrentData(expected[0]) != null
                    && new String(tree.getCurrentData(expected[0]).getData(), StandardCharsets.UTF_8).equals(expected[1]));
            }
            client.delete().deletingChildrenIfNeeded().forPath("/cu/cache/b");
            Checks.waitUntil("the cache forgets", () -> !cache.get("/cu/cache/b/c").isPresent());
            Checks.waitUntil("the tree forgets", () -> tree.getCurrentData("/cu/cache/b/c") == null);
        }
    }

    static void transactionsAreAllOrNothing(List<CuratorFramework> clients) throws Exception {
        CuratorFramework client = clients.get(0);
        List<CuratorTransactionResult> results = client.transaction().forOperations(
            client.transactionOp().create().forPath("/cu/tx", bytes("1")),
            client.transactionOp().setData().withVersion(0).forPath("/cu/tx", bytes("2")),
            client.transactionOp().check().withVersion(1).forPath("/cu/tx"));
        Checks.expectEqual(results.get(1).getResultStat().getVersion(), 1);
        Checks.expectFailure(KeeperException.BadVersionException.class,
            () -> client.transaction().forOperations(client.transactionOp().delete().forPath("/cu/tx"),
                client.transactionOp().check().withVersion(9).forPath("/cu")));
        Checks.expectEqual(new String(client.getData().forPath("/cu/tx"), StandardCharsets.UTF_8), "2");
    }

    static void leadersFollowEachOther(List<CuratorFramework> clients) throws Exception {
        CountDownLatch led = new CountDownLatch(WORKERS);
        Room room = new Room(1);
        List<LeaderSelector> selectors = new ArrayList<>();
        for (CuratorFramework client : clients) {
            LeaderSelector selector = new LeaderSelector(client, "/cu/selector", new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework leader) throws Exception {
                    room.visit();
                    led.countDown();
                }
            });
            selectors.add(selector);
            selector.start();
        }
        Checks.expect(led.await(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS), "each leads once");
        selectors.forEach(LeaderSelector::close);
        room.expectVisits(WORKERS);
    }

    /** One leads; its end makes another leader; the servers' leader may die meanwhile. */
    static void latchesHaveOneLeaderThroughACrash(List<CuratorFramework> clients) throws Exception {
        List<LeaderLatch> latches = new ArrayList<>();
        for (CuratorFramework client : clients) {
            LeaderLatch latch = new LeaderLatch(client, "/cu/latch");
            latches.add(latch);
            latch.start();
        }
        Checks.waitUntil("one leads", () -> leading(latches) == 1);
        Checks.ask("@kill-leader");
        Checks.waitUntil("one leads again", () -> leading(latches) == 1);
        Checks.ask("@start-killed");
        for (int left = WORKERS; left > 1; left--) {
            /* Who leads may lose it for a moment, while its client looks for another server. */
            AtomicReference<LeaderLatch> leader = new AtomicReference<>();
            Checks.waitUntil("one leads", () -> {
                leader.set(latches.stream().filter(LeaderLatch::hasLeadership).findFirst().orElse(null));
                return leader.get() != null;
            });
            latches.remove(leader.get());
            leader.get().close();
        }
        Checks.waitUntil("the last leads", () -> leading(latches) == 1);
        latches.get(0).close();
    }

    static long leading(List<LeaderLatch> latches) {
        return latches.stream().filter(LeaderLatch::hasLeadership).count();
    }

    static void mutexesExcludeThroughACrash(List<CuratorFramework> clients) throws Exception {
        Room room = new Room(1);
        together(clients, client -> {
            InterProcessMutex mutex = new InterProcessMutex(client, "/cu/crash-mutex");
            for (int i = 0; i < 10; i++) {
                mutex.acquire();
                room.visit();
                mutex.release();
            }
        }, () -> {
            Checks.ask("@kill-leader");
            Checks.ask("@start-killed");
        });
        room.expectVisits(10 * WORKERS);
    }

    static void persistentNodesComeBack(List<CuratorFramework> clients) throws Exception {
        CuratorFramework client = clients.get(0);
        try (PersistentNode node = new PersistentNode(client, CreateMode.EPHEMERAL, false, "/cu/node", bytes("here"))) {
            node.start();
            Checks.expect(node.waitForInitialCreate(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS), "created");
            clients.get(1).sync().forPath("/cu/node");
            clients.get(1).delete().forPath("/cu/node");
            Checks.waitUntil("it is back", () -> clients.get(1).checkExists().forPath("/cu/node") != null);
            Checks.ask("@kill-leader");
            Checks.ask("@start-killed");
            Checks.waitUntil("it is still there", () -> clients.get(1).checkExists().forPath("/cu/node") != null);
        }
        clients.get(1).sync().forPath("/cu");
        Checks.waitUntil("it goes with its owner", () -> clients.get(1).checkExists().forPath("/cu/node") == null);
    }

    static boolean passes() throws Exception {
        List<CuratorFramework> clients = connectAll();
        try {
            /* Recipes make containers, which are swept as soon as they are empty, between two of them too. */
            clients.get(0).create().forPath("/cu");
            return Checks.passes("mutexes exclude, and may be entered twice", () -> mutexesExclude(clients))
                & Checks.passes("readers share, writers do not", () -> readersShareAndWritersDoNot(clients))
                & Checks.passes("semaphores let some in", () -> semaphoresLetSomeIn(clients))
                & Checks.passes("barriers hold until all are there", () -> barriersHoldUntilAllAreThere(clients))
                & Checks.passes("queues give each item once", () -> queuesGiveEachItemOnceInOrder(clients))
                & Checks.passes("counters count", () -> countersCount(clients))
                & Checks.passes("caches follow the tree", () -> cachesFollowTheTree(clients))
                & Checks.passes("transactions are all or nothing", () -> transactionsAreAllOrNothing(clients))
                & Checks.passes("leaders follow each other", () -> leadersFollowEachOther(clients))
                & Checks.passes("latches have one leader through a crash", () -> latchesHaveOneLeaderThroughACrash(clients))
                & Checks.passes("mutexes exclude through a crash", () -> mutexesExcludeThroughACrash(clients))
                & Checks.passes("persistent nodes come back", () -> persistentNodesComeBack(clients));
        } finally {
            closeAll(clients);
        }
    }
}
