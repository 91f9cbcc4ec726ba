/* The end of a log that lies behind its newest transaction.
 *
 * A small write that only appends goes to the journal (log_journal.h). A commit that only appends
 * does not wait for its meta page (ENVIRONMENT_SYNC_PAGES): its entries are on the disk when it
 * returns, on pages that nothing refers to until the next commit. A power cut can take the meta
 * page. So a start looks for the entries themselves: each carries the stamp of its write, a number
 * that nobody outside can guess, and the newest transaction's stamp record says from which stamp on
 * they are to be believed.
 *
 * Putting those on pages back may write over the very pages where they lie. So they are saved
 * first, in an environment of their own beside the log (`log-tail`), which is there whole or not at
 * all.
 *
 * The thread that opens the log. */
#ifndef PERSISTENCE_LOG_TAIL_H
#define PERSISTENCE_LOG_TAIL_H

#include "base/bytes.h"
#include "persistence/log_store.h"

enum {
    /* A stamp record stands for so many commits at most: how far to believe. */
    LOG_TAIL_COMMITS_MAX = 1 << 20
};

struct log_tail {
    struct log_entry *entries; /* in order, from the log's last + 1 on */
    size_t count;
    struct buffer payloads;
    bool is_saved;
    bool needs_saving; /* to put it back may write over some of it */
};

/* What continues a log that is in state `state`, with the stamp record `stamp`: what an earlier
 * start saved that did not get further, or what its file has. Changes nothing. IO, CORRUPT. */
MUST_CHECK enum status log_tail_find(const char *log_path,
                                     const struct log_state *state,
                                     uint64_t stamp,
                                     struct log_tail *ret_tail,
                                     struct error *error);
/* Save what was found and could be written over, before anything is written to the log. IO,
 * NO_SPACE, NO_MEMORY. */
MUST_CHECK enum status log_tail_save(const char *log_path,
                                     uint64_t stamp,
                                     const struct log_tail *tail,
                                     struct error *error);
/* The log holds it durably: remove what was saved. IO. */
MUST_CHECK enum status log_tail_forget(const char *log_path, struct error *error);
void log_tail_release(struct log_tail *tail);

#endif
