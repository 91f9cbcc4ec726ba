/* The servers of a cluster in places of a network, each with a clock of its own: up, down or paused
 * as the test wants it, and nothing else. A server that ends without being told to is a failed
 * expectation. Main thread only. */
#ifndef TESTS_CHAOS_SERVERS_H
#define TESTS_CHAOS_SERVERS_H

#include "tests/preload/skewed_clock.h"
#include "tests/support/cluster.h"

enum { SERVERS_MAX = 9 };

enum server_want { SERVER_UP, SERVER_PAUSED, SERVER_LEAVING, SERVER_DOWN };

struct servers {
    struct cluster cluster;
    const char *folder; /* of what is theirs beside the data */
    struct server {
        enum server_want want;
        bool armed; /* may die at its mark */
        bool held;  /* the operator's: nobody else starts it */
        struct skewed_clock *skewed;
        char mark[128]; /* settings of its environment */
        char preload[1200];
        char clock[600];
        char disk[600];
    } servers[SERVERS_MAX + 1];
    unsigned deaths_at_marks;
};

/* Form a cluster. The network is open. */
void servers_form(struct servers *servers, unsigned count);
/* All end. */
void servers_release(struct servers *servers);

/* Look after those that end. To be called often. */
void servers_tick(struct servers *servers);
/* Start one that is down, and not held. */
void servers_launch(struct servers *servers, unsigned id);
/* Start it so that it kills itself at the `pass`th pass of a mark of base/mark.h. Until it is
 * started again it may die at any time. */
void servers_launch_armed(struct servers *servers, unsigned id, const char *mark, int pass);
void servers_kill(struct servers *servers, unsigned id);
void servers_pause(struct servers *servers, unsigned id);
void servers_continue(struct servers *servers, unsigned id);
/* Ask it to leave in order. */
void servers_term(struct servers *servers, unsigned id);
/* Empty the folder of one that is down. */
void servers_wipe(struct servers *servers, unsigned id);
/* Move its wall clock. */
void servers_skew(struct servers *servers, unsigned id, int minutes);
/* Let its clocks run faster by so many thousandths, from soon on. */
void servers_hurry(struct servers *servers, unsigned id, int permille);
/* Whether its disk takes what is written, but does not get ready. */
void servers_stick_disk(struct servers *servers, unsigned id, bool stuck);
/* Each sync takes so much longer; 0 = no more. */
void servers_slow_disk(struct servers *servers, unsigned id, int sync_ms);
/* Whether its disk has no space left. Who starts a server makes room before. */
void servers_fill_disk(struct servers *servers, unsigned id, bool full);

/* Everybody is up, unarmed, with a right clock, and answers; a failed expectation after the
 * deadline. */
void servers_heal(struct servers *servers, unsigned deadline_ms);
/* All have applied the same, have told each other the same digest there, and show the same tree
 * below `path`; a failed expectation after the deadline. */
void servers_converge(struct servers *servers, const char *path, unsigned deadline_ms);
/* It takes connections and says something. */
bool servers_answers(struct servers *servers, unsigned id);
/* Who leads, as far as somebody knows now; else `id`. */
unsigned servers_leader(struct servers *servers, unsigned id);

#endif
