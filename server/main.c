#include "persistence/map_fault.h"
#include "server/check.h"
#include "server/config.h"
#include "server/memory.h"
#include "server/net/entrance.h"
#include "server/recover.h"
#include "server/server.h"

#include <inttypes.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_DAMAGED = 3, /* the data folder: another start will not help */
    /* Never given to clients: for disks, links to servers, and who has not said what he is. */
    OTHER_DESCRIPTORS = 256 + ENTRANCE_STRANGERS_MAX
};

/* Each connection is a descriptor: take as many as the system allows, and no more clients than
 * leave some for the rest. */
static void raise_descriptor_limit(struct config *config)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < config->max_connections + OTHER_DESCRIPTORS) {
        uint64_t fit = limit.rlim_max > 2 * OTHER_DESCRIPTORS ? limit.rlim_max - OTHER_DESCRIPTORS
                                                              : limit.rlim_max / 2;

        log_event(LOG_LEVEL_WARN, "few_descriptors",
                  "limit=%" PRIu64 " max_connections=%" PRIu64 " instead_of=%" PRIu64 " way_out=%s",
                  (uint64_t)limit.rlim_max, fit, config->max_connections,
                  log_quote("raise the hard limit of open files, or lower --max-connections"));
        config->max_connections = fit;
    }
}

int main(int argc, char **argv)
{
    struct config config;
    struct error error;
    char context[32];

    if (config_parse(argc, argv, &config, &error) != STATUS_OK) {
        (void)fprintf(stderr, "confer-server: %s\n", error.text);
        return EXIT_USAGE;
    }
    if (config.help) {
        config_print_help(stdout);
        return 0;
    }
    if (config.version) {
        (void)printf("confer-server %s\n", CONFER_VERSION);
        return 0;
    }
    if (config.check[0] != '\0') {
        return check_folder(config.check, stdout) ? 0 : EXIT_FAILED;
    }
    map_fault_install("confer-server", EXIT_DAMAGED);
    (void)umask(077);
    log_set_level(config.log_level);
    (void)snprintf(context, sizeof context, "node=%llu", (unsigned long long)config.id);
    log_set_context(context);
    if (config.recover != CONFIG_RECOVER_NOT) {
        if (recover_run(&config, stdout, &error) != STATUS_OK) {
            (void)fprintf(stderr, "confer-server: %s\n", error.text);
            return EXIT_FAILED;
        }
        return 0;
    }
    raise_descriptor_limit(&config);
    memory_prepare();
    if (server_run(&config, &error) != STATUS_OK) {
        (void)fprintf(stderr, "confer-server: %s\n", error.text);
        return error.status == STATUS_CORRUPT ? EXIT_DAMAGED : EXIT_FAILED;
    }
    return 0;
}
