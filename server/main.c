#include "server/config.h"
#include "server/server.h"

#include <sys/resource.h>
#include <sys/stat.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Each connection is a descriptor: take as many as the system allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
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
    (void)umask(077);
    raise_descriptor_limit();
    log_set_level(config.log_level);
    (void)snprintf(context, sizeof context, "node=%llu", (unsigned long long)config.id);
    log_set_context(context);
    if (server_run(&config, &error) != STATUS_OK) {
        (void)fprintf(stderr, "confer-server: %s\n", error.text);
        return EXIT_FAILED;
    }
    return 0;
}
