/* Who may change the members, by the address that he calls from: two addresses of a network of this
 * test's own stand for two machines. */
#include "tests/support/cluster.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { SKIPPED = 77 };

#define HERE  "192.0.2.1" /* the server's, kept for documentation by RFC 5737 */
#define THERE "192.0.2.2" /* another machine */

static struct cluster cluster;

static bool run_ip(const char *first, const char *second, const char *third, const char *fourth)
{
    const char *const arguments[] = {"/bin/ip", first, second, third, "dev", "lo", fourth, NULL};

    return outcome_of(arguments, CLUSTER_DEADLINE_MS)->exit_code == 0;
}

static bool own_network(void)
{
    const char *const up[] = {"/bin/ip", "link", "set", "lo", "up", NULL};

    return unshare(CLONE_NEWNET) == 0 && outcome_of(up, CLUSTER_DEADLINE_MS)->exit_code == 0 &&
           run_ip("address", "add", HERE "/32", NULL) &&
           run_ip("address", "add", THERE "/32", NULL);
}

/* `init` by the address that others call it by, on its own machine. */
static void begin(const char *option)
{
    char port[16];

    cluster_init(&cluster, 1);
    cluster.options[0] = option;
    (void)snprintf(port, sizeof port, "%s", strchr(cluster.servers[1].address, ':'));
    (void)snprintf(cluster.servers[1].address, sizeof cluster.servers[1].address, "%s%s", HERE,
                   port);
    cluster_form(&cluster);
}

static Client__Code remove_from(const char *from)
{
    Client__RemoveMember removal = CLIENT__REMOVE_MEMBER__INIT;
    Client__Request request = CLIENT__REQUEST__INIT;
    Client__Response *response;
    Client__Code code;
    struct wire wire;

    removal.id = 7;
    request.body_case = CLIENT__REQUEST__BODY_REMOVE_MEMBER;
    request.remove_member = &removal;
    EXPECT(wire_connect_from(&wire, cluster.servers[1].address, from) && wire_greet(&wire));
    response = wire_call(&wire, &request, CLUSTER_DEADLINE_MS);
    EXPECT(response != NULL);
    code = response->code;
    client__response__free_unpacked(response, NULL);
    wire_close(&wire);
    return code;
}

static void test_members_are_changed_on_a_server_of_the_cluster(void)
{
    begin(NULL);
    /* Nobody has that number, so it is gone already. */
    EXPECT_EQ(remove_from(HERE), CLIENT__CODE__OK);
    EXPECT_EQ(remove_from(THERE), CLIENT__CODE__NO_AUTH);
    cluster_release(&cluster);
}

static void test_members_are_changed_from_everywhere_where_that_is_wanted(void)
{
    begin("--open-membership");
    EXPECT_EQ(remove_from(THERE), CLIENT__CODE__OK);
    cluster_release(&cluster);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_members_are_changed_on_a_server_of_the_cluster),
        TEST_CASE(test_members_are_changed_from_everywhere_where_that_is_wanted), TEST_END};

    if (!own_network()) {
        (void)fprintf(stderr, "skipped: not permitted to make a network of its own here\n");
        return SKIPPED;
    }
    return test_main("members_from_afar", cases, argc, argv);
}
