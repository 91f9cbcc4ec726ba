import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** ZooKeeper's own client for Java. */
final class ZooKeeperClient {
    private static final int SESSION_TIMEOUT_MS = 20000;

    private ZooKeeperClient() {
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** What a watcher was told, to be waited for. */
    static final class Events implements Watcher {
        private final BlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();

        @Override
        public void process(WatchedEvent event) {
            if (event.getType() != EventType.None) {
                events.add(event);
            }
        }

        void expect(EventType type, String path) throws Exception {
            WatchedEvent event = events.poll(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS);
            Checks.expect(event != null, "an event " + type + " " + path);
            Checks.expectEqual(event.getType() + " " + event.getPath(), type + " " + path);
        }

        void expectNone() {
            Checks.expectEqual(events.poll(), null);
        }
    }

    static ZooKeeper connect(long session, byte[] password) throws Exception {
        CountDownLatch told = new CountDownLatch(1);
        Watcher watcher = event -> {
            if (event.getState() == KeeperState.SyncConnected || event.getState() == KeeperState.Expired) {
                told.countDown();
            }
        };
        ZooKeeper client = session == 0 ? new ZooKeeper(Checks.HOSTS, SESSION_TIMEOUT_MS, watcher)
            : new ZooKeeper(Checks.HOSTS, SESSION_TIMEOUT_MS, watcher, session, password);
        Checks.expect(told.await(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS), "connected");
        return client;
    }

    static ZooKeeper connect() throws Exception {
        return connect(0, null);
    }

    /** Another server may lag: then this waits until it has what is committed. */
    static void catchUp(ZooKeeper client) throws Exception {
        CountDownLatch done = new CountDownLatch(1);
        client.sync("/", (code, path, context) -> done.countDown(), null);
        Checks.expect(done.await(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS), "sync is answered");
    }

    static void nodesAndTheirCounters() throws Exception {
        try (ZooKeeper client = connect()) {
            Stat stat = new Stat();
            client.create("/j", bytes("one"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, stat);
            Checks.expectEqual(stat.getVersion(), 0);
            Checks.expectEqual(stat.getCzxid(), stat.getMzxid());
            Checks.expectFailure(KeeperException.NodeExistsException.class,
                () -> client.create("/j", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
            Checks.expectEqual(client.setData("/j", null, 0).getVersion(), 1);
            Checks.expectEqual(client.getData("/j", false, stat), null);
            Checks.expectFailure(KeeperException.BadVersionException.class, () -> client.setData("/j", null, 0));
            Checks.expectEqual(client.create("/j/n-", bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL),
                "/j/n-0000000000");
            Checks.expectEqual(client.create("/j/box", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER), "/j/box");
            client.create("/j/brief", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, stat, 3600000);
            List<String> children = new ArrayList<>(client.getChildren("/j", false, stat));
            Collections.sort(children);
            Checks.expectEqual(children, Arrays.asList("box", "brief", "n-0000000000"));
            Checks.expectEqual(stat.getCversion(), 3);
            Checks.expectFailure(KeeperException.NotEmptyException.class, () -> client.delete("/j", -1));
            Checks.expectFailure(KeeperException.NoNodeException.class, () -> client.getData("/j/none", false, null));
            Checks.expectEqual(client.exists("/j/none", false), null);
        }
    }

    static void transactions() throws Exception {
        try (ZooKeeper client = connect()) {
            List<OpResult> results = client.multi(Arrays.asList(
                Op.create("/jt", bytes(""), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.setData("/jt", bytes("x"), 0), Op.check("/jt", 1)));
            Checks.expectEqual(((OpResult.CreateResult) results.get(0)).getPath(), "/jt");
            Checks.expectEqual(((OpResult.SetDataResult) results.get(1)).getStat().getVersion(), 1);
            Checks.expectFailure(KeeperException.BadVersionException.class, () -> client.multi(Arrays.asList(
                Op.setData("/jt", bytes("y"), -1), Op.check("/jt", 7), Op.delete("/jt", -1))));
            Checks.expectEqual(new String(client.getData("/jt", false, null), StandardCharsets.UTF_8), "x");
            List<OpResult> reads = client.multi(Arrays.asList(Op.getData("/jt"), Op.getChildren("/jt"), Op.getData("/j0")));
            Checks.expectEqual(new String(((OpResult.GetDataResult) reads.get(0)).getData(), StandardCharsets.UTF_8), "x");
            Checks.expectEqual(((OpResult.ErrorResult) reads.get(2)).getErr(), KeeperException.Code.NONODE.intValue());
        }
    }

    static void watches() throws Exception {
        try (ZooKeeper client = connect(); ZooKeeper other = connect()) {
            Events data = new Events();
            Events recursive = new Events();
            Events persistent = new Events();
            client.create("/jw", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            client.getData("/jw", data, null);
            client.addWatch("/jw", recursive, AddWatchMode.PERSISTENT_RECURSIVE);
            other.addWatch("/jw/n", persistent, AddWatchMode.PERSISTENT);
            other.setData("/jw", null, -1);
            other.setData("/jw", null, -1);
            other.create("/jw/n", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            other.create("/jw/n/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            other.delete("/jw/n/c", -1);
            other.delete("/jw/n", -1);
            data.expect(EventType.NodeDataChanged, "/jw");
            recursive.expect(EventType.NodeDataChanged, "/jw");
            recursive.expect(EventType.NodeDataChanged, "/jw");
            recursive.expect(EventType.NodeCreated, "/jw/n");
            recursive.expect(EventType.NodeCreated, "/jw/n/c");
            recursive.expect(EventType.NodeDeleted, "/jw/n/c");
            recursive.expect(EventType.NodeDeleted, "/jw/n");
            persistent.expect(EventType.NodeCreated, "/jw/n");
            persistent.expect(EventType.NodeChildrenChanged, "/jw/n");
            persistent.expect(EventType.NodeChildrenChanged, "/jw/n");
            persistent.expect(EventType.NodeDeleted, "/jw/n");
            client.removeAllWatches("/jw", Watcher.WatcherType.Any, false);
            recursive.expect(EventType.PersistentWatchRemoved, "/jw");
            other.setData("/jw", null, -1);
            catchUp(client);
            client.exists("/jw", false);
            data.expectNone();
            recursive.expectNone();
        }
    }

    static void permissions() throws Exception {
        try (ZooKeeper owner = connect(); ZooKeeper stranger = connect()) {
            owner.addAuthInfo("digest", bytes("u:p"));
            owner.create("/ja", bytes("s"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            catchUp(stranger);
            Checks.expectFailure(KeeperException.NoAuthException.class, () -> stranger.getData("/ja", false, null));
            Checks.expectFailure(KeeperException.InvalidACLException.class,
                () -> stranger.create("/jb", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
            Checks.expectEqual(owner.getACL("/ja", null).get(0).getId().getId(), "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=");
            stranger.addAuthInfo("digest", bytes("super:test"));
            Checks.expectEqual(new String(stranger.getData("/ja", false, null), StandardCharsets.UTF_8), "s");
            Checks.expectEqual(owner.whoAmI().size(), 2);
        }
    }

    static void closedSessionsAreGone() throws Exception {
        ZooKeeper client = connect();
        long session = client.getSessionId();
        byte[] password = client.getSessionPasswd();
        client.create("/je", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        client.close();
        try (ZooKeeper other = connect()) {
            catchUp(other);
            Checks.expectEqual(other.exists("/je", false), null);
        }
        ZooKeeper late = connect(session, password);
        Checks.expectFailure(KeeperException.SessionExpiredException.class, () -> late.exists("/", false));
        late.close();
    }

    /** What fails only because the connection was lost is tried again, as applications do. */
    static void retry(Checks.Attempt attempt) throws Exception {
        Checks.waitUntil("the connection comes back", () -> {
            try {
                attempt.run();
                return true;
            } catch (KeeperException.ConnectionLossException lost) {
                return false;
            }
        });
    }

    static void sessionsOutliveTheLeader() throws Exception {
        try (ZooKeeper client = connect(); ZooKeeper other = connect()) {
            Events later = new Events();
            long session = client.getSessionId();
            client.create("/jo", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            client.exists("/jo-later", later);
            catchUp(other);
            Checks.ask("@kill-leader");
            retry(() -> client.setData("/jo", null, -1));
            retry(() -> Checks.expectEqual(other.exists("/jo", false).getEphemeralOwner(), session));
            Checks.expectEqual(client.getSessionId(), session);
            Checks.ask("@start-killed");
            retry(() -> {
                if (other.exists("/jo-later", false) == null) {
                    other.create("/jo-later", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
                }
            });
            later.expect(EventType.NodeCreated, "/jo-later");
        }
    }

    static boolean passes() {
        return Checks.passes("nodes and their counters", ZooKeeperClient::nodesAndTheirCounters)
            & Checks.passes("transactions, and reads together", ZooKeeperClient::transactions)
            & Checks.passes("watches of every kind", ZooKeeperClient::watches)
            & Checks.passes("permissions and identities", ZooKeeperClient::permissions)
            & Checks.passes("closed sessions are gone, with their nodes", ZooKeeperClient::closedSessionsAreGone)
            & Checks.passes("sessions outlive the leader", ZooKeeperClient::sessionsOutliveTheLeader);
    }
}
