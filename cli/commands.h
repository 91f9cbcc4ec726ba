/* The commands, each in its cmd_<verb>.c. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

extern const struct command cmd_add_learner;
extern const struct command cmd_cancel_change;
extern const struct command cmd_change_membership;
extern const struct command cmd_create;
extern const struct command cmd_get;
extern const struct command cmd_import;
extern const struct command cmd_init;
extern const struct command cmd_list;
extern const struct command cmd_remove;
extern const struct command cmd_remove_member;
extern const struct command cmd_set;
extern const struct command cmd_set_acl;
extern const struct command cmd_status;
extern const struct command cmd_transfer_leader;
extern const struct command cmd_tree;
extern const struct command cmd_watch;

#endif
