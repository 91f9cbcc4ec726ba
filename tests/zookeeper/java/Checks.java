import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;

/** Expectations, and the words to with_servers.py. */
final class Checks {
    static final long DEADLINE_MS = TimeUnit.SECONDS.toMillis(60);
    static final String HOSTS = System.getenv("ZOOKEEPER_HOSTS");
    private static final BufferedReader OPERATOR = new BufferedReader(new InputStreamReader(System.in));

    private Checks() {
    }

    interface Test {
        void run() throws Exception;
    }

    interface Attempt {
        void run() throws Exception;
    }

    static void expectEqual(Object actual, Object expected) {
        if (!Objects.equals(actual, expected)) {
            throw new AssertionError(actual + " instead of " + expected);
        }
    }

    static void expect(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError("not so: " + what);
        }
    }

    static void expectFailure(Class<? extends Exception> kind, Attempt attempt) throws Exception {
        try {
            attempt.run();
        } catch (Exception reason) {
            if (kind.isInstance(reason)) {
                return;
            }
            throw reason;
        }
        throw new AssertionError("no " + kind.getSimpleName());
    }

    static void waitUntil(String what, Callable<Boolean> isSo) throws Exception {
        long end = System.currentTimeMillis() + DEADLINE_MS;
        while (!isSo.call()) {
            expect(System.currentTimeMillis() < end, what);
            Thread.sleep(10);
        }
    }

    static void ask(String command) throws Exception {
        System.out.println("\n" + command);
        System.out.flush();
        expectEqual(OPERATOR.readLine(), "done");
    }

    /** False if it failed; tells how. */
    static boolean passes(String claim, Test test) {
        try {
            test.run();
            System.out.println("passed: " + claim);
            return true;
        } catch (Exception | AssertionError reason) {
            System.out.println("FAILED: " + claim + ": " + reason);
            reason.printStackTrace(System.out);
            return false;
        }
    }
}
