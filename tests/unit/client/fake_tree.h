/* The tree of a fake server and its history. */
#ifndef TESTS_UNIT_CLIENT_FAKE_TREE_H
#define TESTS_UNIT_CLIENT_FAKE_TREE_H

#include "tests/unit/client/fake_parts.h"

/* To be freed. */
char *fake_tree_text_of(ProtobufCBinaryData data);
/* In the order in which subtrees are read. */
int fake_tree_compare(const char *left, const char *right);
/* Also one that was removed; NULL if there never was one. */
struct fake_node *fake_tree_find(struct fake_server *server, const char *path);
/* True: it was created. */
bool fake_tree_put(struct fake_server *server, const char *path, const void *value, size_t bytes);
/* False: there is none. */
bool fake_tree_take_out(struct fake_server *server, const char *path);

#endif
