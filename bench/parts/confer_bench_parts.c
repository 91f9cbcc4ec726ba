/*     confer-bench-parts log FOLDER SECONDS
 *     confer-bench-parts state create|set|get COUNT
 *     confer-bench-parts codec pack|unpack COUNT
 *
 * One JSON line on stdout. */
#include "bench/parts/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void parts_die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "confer-bench-parts: %s%s\n", what, detail);
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "log") == 0) {
        return parts_log(argv[2], strtod(argv[3], NULL));
    }
    if (argc == 4 && strcmp(argv[1], "state") == 0) {
        return parts_state(argv[2], strtoull(argv[3], NULL, 10));
    }
    if (argc == 4 && strcmp(argv[1], "codec") == 0) {
        return parts_codec(argv[2], strtoull(argv[3], NULL, 10));
    }
    parts_die("usage: log FOLDER SECONDS | state create|set|get COUNT | codec pack|unpack COUNT",
              "");
}
