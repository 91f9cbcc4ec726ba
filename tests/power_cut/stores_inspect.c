/* A folder as confer-server --check reads it: nothing is changed. */
#include "tests/power_cut/stores_internal.h"

#include "base/check.h"
#include "persistence/inspect.h"
#include "persistence/log_tail.h"

#include <inttypes.h>
#include <stdio.h>

/* Keeps the first line. */
static void on_damage(void *context, const char *text)
{
    char *first = context;

    if (first[0] == '\0') {
        (void)snprintf(first, STORES_TEXT_BYTES_MAX, "%s", text);
    }
}

static enum status
inspect_log(const char *folder, struct log_inspection *log, char text[STORES_TEXT_BYTES_MAX])
{
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    struct error error;
    enum status status;

    CHECK(snprintf(path, sizeof path, "%s/log", folder) < (int)sizeof path);
    *log = (struct log_inspection){.path = path, .on_damage = on_damage, .context = text};
    status = log_inspect(log, &error);
    log->path = NULL;
    if (status != STATUS_OK) {
        on_damage(text, error.text);
    }
    return status;
}

bool stores_inspect(const char *folder, char text[STORES_TEXT_BYTES_MAX])
{
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    struct log_inspection log;
    struct tree_inspection tree;
    struct error error;

    text[0] = '\0';
    if (inspect_log(folder, &log, text) != STATUS_OK || !log.has_identity) {
        return false;
    }
    CHECK(snprintf(path, sizeof path, "%s/tree-%" PRIu64, folder, log.identity.tree_generation) <
          (int)sizeof path);
    tree = (struct tree_inspection){.path = path, .on_damage = on_damage, .context = text};
    if (tree_inspect(&tree, &error) != STATUS_OK) {
        on_damage(text, error.text);
    }
    buffer_release(&tree.config_buffer);
    return text[0] == '\0';
}

bool stores_must_save_end(const char *folder)
{
    char path[DATA_FOLDER_PATH_BYTES_MAX];
    char text[STORES_TEXT_BYTES_MAX] = "";
    struct log_inspection log;
    struct log_tail tail;
    struct error error;
    bool must;

    if (inspect_log(folder, &log, text) != STATUS_OK || log.tail_count == 0) {
        return false;
    }
    CHECK(snprintf(path, sizeof path, "%s/log", folder) < (int)sizeof path);
    must =
        log_tail_find(path, &log.state, log.stamp, &tail, &error) == STATUS_OK && tail.needs_saving;
    log_tail_release(&tail);
    return must;
}
