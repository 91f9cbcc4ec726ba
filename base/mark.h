/* Marks: names for rare situations, and for moments at which a death must do no harm, put at the
 * place in the code where they happen.
 *
 * A program that was built with CONFER_MARKS counts how often it came by each of its marks and can
 * list all of them, also those at zero. So a test run tells which situations it never met. With
 * CONFER_MARK_KILL=NAME:N in its environment it kills itself, by SIGKILL, when it comes by that
 * mark for the Nth time. Without CONFER_MARKS a mark is no code at all.
 *
 * A mark's name is unique in the whole tree (tests/lint/marks.py). Marks belong into .c files: in a
 * header each unit that includes it would have one of its own. */
#ifndef BASE_MARK_H
#define BASE_MARK_H

#include <stdbool.h>
#include <stdint.h>

/* `count`: so often it was passed; several threads that pass it at one time may lose a few, but
 * what was passed is never 0. */
typedef void mark_callback(const char *name, uint64_t count, void *context);

/* Call back for each mark of this program, reached or not, in the order of their names. */
void mark_each(mark_callback *callback, void *context);

/* Write a line `NAME COUNT` for each mark into the file `path`. False: errno tells why. */
bool mark_write(const char *path);

/* MARK(name) is a statement. MARK_IF(condition, name) is one as well; without marks its condition
 * is not evaluated, so it must change nothing (tests/lint/marks.py). */
#ifdef CONFER_MARKS

#include <stdatomic.h>

struct mark {
    const char *name;
    atomic_uint_fast64_t count;
    uint64_t kill_at; /* a count; 0 = never */
};

/* Says which mark it was, and kills this process. */
_Noreturn void mark_kill(const struct mark *mark);

/* Pointers, not the marks themselves, are what the linker gathers: their size and distance are
 * the same for every compiler and sanitizer. */
#define MARK(name_)                                                                                \
    do {                                                                                           \
        static struct mark mark_##name_ = {.name = #name_};                                        \
        static struct mark *mark_place_##name_ __attribute__((section("confer_marks"), used)) =    \
            &mark_##name_;                                                                         \
        mark_pass(&mark_##name_);                                                                  \
    } while (0)

#define MARK_IF(condition, name_)                                                                  \
    do {                                                                                           \
        if (condition) {                                                                           \
            MARK(name_);                                                                           \
        }                                                                                          \
    } while (0)

/* A plain load and store: cheap where a turn passes a mark a million times a second. */
static inline void mark_pass(struct mark *mark)
{
    uint_fast64_t count = atomic_load_explicit(&mark->count, memory_order_relaxed);
    atomic_store_explicit(&mark->count, count + 1, memory_order_relaxed);
    if (count + 1 == mark->kill_at) {
        mark_kill(mark);
    }
}

#else

#define MARK(name_)               ((void)0)
#define MARK_IF(condition, name_) ((void)sizeof(condition))

#endif

#endif
