/* Lists of permissions as texts: SCHEME:ID:PERMISSIONS, the form of ZooKeeper's tools, as in
 * world:anyone:r,digest:ann:HASH:cdrwa. Permissions are of c(reate) d(elete) r(ead) w(rite)
 * a(dmin). */
#ifndef CLI_ACL_H
#define CLI_ACL_H

#include "cli/cli.h"

struct acl {
    struct confer_acl_entry *entries;
    size_t count;
    char *text; /* which the entries point into */
};

/* False: wrong usage, and stderr says why. */
bool acl_parse(const struct cli *cli, const char *text, struct acl *ret_acl);
void acl_release(struct acl *acl);

void acl_print(FILE *file, const struct confer_acl_entry *entry);
/* "acl": [...] without a brace. */
void acl_print_json(FILE *file, const struct confer_acl_entry *entries, size_t count);

#endif
