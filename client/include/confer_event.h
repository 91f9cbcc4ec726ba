/* libconfer on the caller's libevent base: no thread of its own, the same calls and semantics. */
#ifndef CONFER_EVENT_H
#define CONFER_EVENT_H

#include <confer.h>

struct event_base;

#ifdef __cplusplus
extern "C" {
#endif

/* As confer_open, but everything runs, and all callbacks come, in the thread that runs `base`. To
 * be called on that thread; `base` must outlive the handle. Blocking calls on that thread return
 * CONFER_DEADLOCK; other threads may make them.
 *
 * confer_close returns at once; go on running the base until CONFER_STATE_CLOSED was told. */
CONFER_API enum confer_status confer_open_on_base(struct event_base *base,
                                                  const char *servers,
                                                  const struct confer_options *options,
                                                  struct confer **ret_confer);

#ifdef __cplusplus
}
#endif

#endif
