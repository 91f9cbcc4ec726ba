#include "tests/chaos/admin.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

enum { ADDRESSES_BYTES = 32 * SERVERS_MAX };

void admin_init(struct admin *admin, struct servers *servers)
{
    *admin = (struct admin){.servers = servers, .command = {.out = -1, .err = -1}};
}

/* --- Commands --- */

/* Every server may be asked. */
static void write_addresses(const struct servers *servers, char text[ADDRESSES_BYTES])
{
    size_t size = 0;

    for (unsigned id = 1; id <= servers->cluster.server_count; id++) {
        size += (size_t)snprintf(text + size, ADDRESSES_BYTES - size, "%s%s", id > 1 ? "," : "",
                                 servers->cluster.servers[id].address);
    }
}

static void write_ids(uint32_t ids, char text[ADDRESSES_BYTES])
{
    size_t size = 0;

    for (unsigned id = 1; ids >> id != 0; id++) {
        if ((ids >> id & 1) != 0) {
            size += (size_t)snprintf(text + size, ADDRESSES_BYTES - size, "%s%u",
                                     size > 0 ? "," : "", id);
        }
    }
}

/* Start the command of a state. */
static void start_command(struct admin *admin, enum admin_state state)
{
    char voters[ADDRESSES_BYTES] = "";
    const struct cluster_server *server = &admin->servers->cluster.servers[admin->id];
    struct cluster *cluster = &admin->servers->cluster;
    char addresses[ADDRESSES_BYTES];
    char id[16];
    char node[64];

    write_addresses(admin->servers, addresses);
    (void)snprintf(id, sizeof id, "%u", admin->id);
    (void)snprintf(node, sizeof node, "%u=%s", admin->id, server->address);
    admin->state = state;
    switch (state) {
    case ADMIN_TRANSFERS:
        cluster_cli_start(cluster, &admin->command, 0, "transfer-leader", id, "--address",
                          addresses, "--timeout", "3s", NULL);
        break;
    case ADMIN_REMOVES:
        cluster_cli_start(cluster, &admin->command, 0, "remove-member", id, "--address", addresses,
                          "--timeout", "10s", NULL);
        break;
    case ADMIN_ADDS:
        cluster_cli_start(cluster, &admin->command, 0, "add-learner", "--node", node, "--promote",
                          "--address", addresses, "--timeout", "20s", NULL);
        break;
    case ADMIN_TEACHES:
        cluster_cli_start(cluster, &admin->command, 0, "add-learner", "--node", node, "--address",
                          addresses, "--timeout", "20s", NULL);
        break;
    case ADMIN_LEAVES_OUT:
    case ADMIN_TAKES_IN:
        write_ids(admin->voters, voters);
        cluster_cli_start(cluster, &admin->command, 0, "change-membership", "--members", voters,
                          "--address", addresses, "--timeout", "20s", NULL);
        break;
    case ADMIN_IDLE:
    case ADMIN_STARTS:
        break;
    }
}

/* --- Under faults --- */

void admin_transfer(struct admin *admin, unsigned id)
{
    if (admin->state == ADMIN_IDLE) {
        admin->id = id;
        start_command(admin, ADMIN_TRANSFERS);
    }
}

/* Down, and its folder empty, until it may start as a fresh server. */
static void empty(struct admin *admin)
{
    admin->is_out = true;
    admin->servers->servers[admin->id].held = true;
    servers_kill(admin->servers, admin->id);
    servers_wipe(admin->servers, admin->id);
}

static void start(struct admin *admin)
{
    admin->servers->servers[admin->id].held = false;
    servers_launch(admin->servers, admin->id);
    admin->state = ADMIN_STARTS;
}

void admin_replace(struct admin *admin, unsigned id, bool dead)
{
    if (admin->state != ADMIN_IDLE) {
        return;
    }
    admin->id = id;
    admin->voters = 0;
    if (dead) {
        empty(admin);
    }
    start_command(admin, ADMIN_REMOVES);
}

void admin_change(struct admin *admin, uint32_t voters)
{
    if (admin->state != ADMIN_IDLE) {
        return;
    }
    admin->voters = voters;
    admin->id = 1;
    while ((voters >> admin->id & 1) != 0) {
        admin->id++;
    }
    start_command(admin, ADMIN_LEAVES_OUT);
}

/* The command has ended: the next one, if it did what it was to do. */
static void go_on(struct admin *admin, bool done)
{
    enum admin_state state = admin->state;

    process_release(&admin->command);
    admin->state = ADMIN_IDLE;
    if ((state == ADMIN_REMOVES || state == ADMIN_LEAVES_OUT) && done) {
        empty(admin);
        start(admin);
    } else if (state == ADMIN_TEACHES && done) {
        admin->voters |= UINT32_C(1) << admin->id;
        start_command(admin, ADMIN_TAKES_IN);
    } else if (state == ADMIN_REMOVES) {
        /* Whether it is out is not known: what was not wiped goes on as it was. */
        admin->servers->servers[admin->id].held = false;
        servers_launch(admin->servers, admin->id);
    } else if ((state == ADMIN_ADDS || state == ADMIN_TAKES_IN) && done) {
        admin->is_out = false;
    }
}

void admin_tick(struct admin *admin)
{
    if (admin->state == ADMIN_STARTS && servers_answers(admin->servers, admin->id)) {
        start_command(admin, admin->voters != 0 ? ADMIN_TEACHES : ADMIN_ADDS);
    } else if (admin->state != ADMIN_STARTS && admin->state != ADMIN_IDLE &&
               process_wait(&admin->command, 0)) {
        go_on(admin, admin->command.exit_code == 0);
    }
}

/* --- And back --- */

static const Client__MemberStatus *member_of(const Client__Response *response, unsigned id)
{
    for (size_t i = 0; i < response->status->n_members; i++) {
        if (response->status->members[i]->id == id) {
            return response->status->members[i];
        }
    }
    return NULL;
}

/* Who is not a voter of a settled configuration, as the leader sees it; 0 = nobody, -1 = there is
 * nobody to ask now. */
static int find_missing(struct admin *admin)
{
    struct servers *servers = admin->servers;
    unsigned leader = servers_leader(servers, 0);
    Client__Response *response = leader == 0 ? NULL : cluster_status(&servers->cluster, leader);
    int missing =
        response == NULL || response->status->leader != leader || response->status->joint ? -1 : 0;

    for (unsigned id = 1; missing == 0 && id <= servers->cluster.server_count; id++) {
        const Client__MemberStatus *member = member_of(response, id);

        if (member == NULL || !member->voter) {
            missing = (int)id;
        }
    }
    if (response != NULL) {
        client__response__free_unpacked(response, NULL);
    }
    return missing;
}

/* Run a command to its end; whether it did it. */
static bool run_command(struct admin *admin, enum admin_state state)
{
    bool done;

    while (state == ADMIN_ADDS && !servers_answers(admin->servers, admin->id)) {
        servers_tick(admin->servers);
        process_pause();
    }
    start_command(admin, state);
    while (!process_wait(&admin->command, 10)) {
        servers_tick(admin->servers);
    }
    done = admin->command.exit_code == 0;
    if (!done) {
        (void)printf("    %s", process_text(&admin->command, admin->command.err));
    }
    process_release(&admin->command);
    admin->state = ADMIN_IDLE;
    return done;
}

void admin_restore(struct admin *admin, unsigned deadline_ms)
{
    uint64_t end = process_now_ms() + deadline_ms;
    int missing = -1;

    process_release(&admin->command);
    admin->state = ADMIN_IDLE;
    do {
        servers_tick(admin->servers);
        if (!admin->is_out) {
            missing = find_missing(admin);
            if (missing > 0) {
                admin->id = (unsigned)missing;
                admin->is_out = true;
            }
        }
        if (admin->is_out && run_command(admin, ADMIN_REMOVES)) {
            empty(admin);
            start(admin);
            admin->is_out = !run_command(admin, ADMIN_ADDS);
            missing = -1;
        }
        process_pause();
    } while ((admin->is_out || missing != 0) && process_now_ms() < end);
    EXPECT(!admin->is_out);
    EXPECT_EQ(missing, 0);
}
