/** Run by with_servers.py. */
final class Main {
    private Main() {
    }

    public static void main(String[] arguments) throws Exception {
        System.exit(ZooKeeperClient.passes() & CuratorRecipes.passes() ? 0 : 1);
    }
}
