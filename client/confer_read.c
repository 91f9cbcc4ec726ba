#include "client/client_call.h"

#include <stdlib.h>
#include <string.h>

static struct client_call
get_call(const char *path, uint32_t flags, const struct confer_call *how, enum client_shape shape)
{
    struct client_call call = {.status = CONFER_OK};
    Client__Get message = CLIENT__GET__INIT;

    client_call_check_path(&call, path);
    if ((flags & ~(uint32_t)(CONFER_GET_ACL | CONFER_GET_STAT_ONLY)) != 0) {
        client_call_refuse(&call, CONFER_INVALID_ARGUMENT, "unknown flags");
    }
    message.path = client_data_of_text(path);
    message.level = client_call_level(how);
    message.with_acl = (flags & CONFER_GET_ACL) != 0;
    message.stat_only = (flags & CONFER_GET_STAT_ONLY) != 0;
    client_call_pack(&call, CLIENT__REQUEST__BODY_GET, &message.base, shape);
    return call;
}

enum confer_status confer_get(struct confer *confer,
                              const char *path,
                              uint32_t flags,
                              const struct confer_call *call,
                              struct confer_result **ret_result)
{
    struct client_call get = get_call(path, flags, call, CLIENT_SHAPE_GET);

    return client_call_wait(confer, &get, call, ret_result);
}

enum confer_status confer_get_async(struct confer *confer,
                                    const char *path,
                                    uint32_t flags,
                                    const struct confer_call *call,
                                    confer_callback callback,
                                    void *argument)
{
    struct client_call get = get_call(path, flags, call, CLIENT_SHAPE_GET);

    return client_call_start(confer, &get, call, callback, argument);
}

enum confer_status confer_exists(struct confer *confer,
                                 const char *path,
                                 const struct confer_call *call,
                                 struct confer_result **ret_result)
{
    struct client_call exists = get_call(path, CONFER_GET_STAT_ONLY, call, CLIENT_SHAPE_EXISTS);

    return client_call_wait(confer, &exists, call, ret_result);
}

enum confer_status confer_exists_async(struct confer *confer,
                                       const char *path,
                                       const struct confer_call *call,
                                       confer_callback callback,
                                       void *argument)
{
    struct client_call exists = get_call(path, CONFER_GET_STAT_ONLY, call, CLIENT_SHAPE_EXISTS);

    return client_call_start(confer, &exists, call, callback, argument);
}

static struct client_call
list_call(const char *path, const struct confer_page *page, const struct confer_call *how)
{
    struct client_call call = {.status = CONFER_OK};
    Client__List message = CLIENT__LIST__INIT;

    client_call_check_path(&call, path);
    message.path = client_data_of_text(path);
    message.level = client_call_level(how);
    if (page != NULL) {
        message.after = client_data_of_text(page->after);
        message.count_max = page->count_max;
        message.with_stats = page->with_stats;
        message.with_values = page->with_values;
    }
    client_call_pack(&call, CLIENT__REQUEST__BODY_LIST, &message.base, CLIENT_SHAPE_LIST);
    return call;
}

enum confer_status confer_list(struct confer *confer,
                               const char *path,
                               const struct confer_page *page,
                               const struct confer_call *call,
                               struct confer_result **ret_result)
{
    struct client_call list = list_call(path, page, call);

    return client_call_wait(confer, &list, call, ret_result);
}

enum confer_status confer_list_async(struct confer *confer,
                                     const char *path,
                                     const struct confer_page *page,
                                     const struct confer_call *call,
                                     confer_callback callback,
                                     void *argument)
{
    struct client_call list = list_call(path, page, call);

    return client_call_start(confer, &list, call, callback, argument);
}

static struct client_call
tree_call(const char *path, const struct confer_page *page, const struct confer_call *how)
{
    struct client_call call = {.status = CONFER_OK};
    Client__ReadTree message = CLIENT__READ_TREE__INIT;

    client_call_check_path(&call, path);
    message.path = client_data_of_text(path);
    message.level = client_call_level(how);
    if (page != NULL) {
        message.after = client_data_of_text(page->after);
        message.count_max = page->count_max;
        message.depth_max = page->depth_max;
        message.with_values = page->with_values;
    }
    client_call_pack(&call, CLIENT__REQUEST__BODY_READ_TREE, &message.base, CLIENT_SHAPE_TREE);
    return call;
}

enum confer_status confer_read_tree(struct confer *confer,
                                    const char *path,
                                    const struct confer_page *page,
                                    const struct confer_call *call,
                                    struct confer_result **ret_result)
{
    struct client_call tree = tree_call(path, page, call);

    return client_call_wait(confer, &tree, call, ret_result);
}

enum confer_status confer_read_tree_async(struct confer *confer,
                                          const char *path,
                                          const struct confer_page *page,
                                          const struct confer_call *call,
                                          confer_callback callback,
                                          void *argument)
{
    struct client_call tree = tree_call(path, page, call);

    return client_call_start(confer, &tree, call, callback, argument);
}

/* --- Iterators --- */

struct confer_iterator {
    struct confer *confer;
    bool is_tree;
    char *path;
    struct confer_page page;
    char *after; /* page.after, owned */
    struct confer_call call;
    struct confer_result *result; /* the present page; NULL before the first one */
    size_t next;
    enum confer_status status; /* CONFER_OK while it goes on */
};

static enum confer_status iterator_new(struct confer *confer,
                                       bool is_tree,
                                       const char *path,
                                       const struct confer_page *page,
                                       const struct confer_call *call,
                                       struct confer_iterator **ret_iterator)
{
    struct confer_iterator *iterator;

    if (path == NULL || path[0] != '/') {
        return CONFER_INVALID_ARGUMENT;
    }
    if (client_is_loop_thread(confer)) {
        return CONFER_DEADLOCK;
    }
    iterator = client_alloc(sizeof *iterator);
    if (iterator == NULL) {
        return CONFER_NO_MEMORY;
    }
    iterator->confer = confer;
    iterator->is_tree = is_tree;
    iterator->path = client_copy_text(path);
    if (page != NULL) {
        iterator->page = *page;
        iterator->after = page->after == NULL ? NULL : client_copy_text(page->after);
    }
    if (iterator->path == NULL ||
        (page != NULL && page->after != NULL && iterator->after == NULL)) {
        confer_iterator_free(iterator);
        return CONFER_NO_MEMORY;
    }
    if (call != NULL) {
        iterator->call = *call;
    }
    *ret_iterator = iterator;
    return CONFER_OK;
}

enum confer_status confer_list_begin(struct confer *confer,
                                     const char *path,
                                     const struct confer_page *page,
                                     const struct confer_call *call,
                                     struct confer_iterator **ret_iterator)
{
    return iterator_new(confer, false, path, page, call, ret_iterator);
}

enum confer_status confer_tree_begin(struct confer *confer,
                                     const char *path,
                                     const struct confer_page *page,
                                     const struct confer_call *call,
                                     struct confer_iterator **ret_iterator)
{
    return iterator_new(confer, true, path, page, call, ret_iterator);
}

/* Where the next page starts: behind the last one of this page. */
static enum confer_status move_on(struct confer_iterator *iterator)
{
    const struct confer_result *result = iterator->result;
    const struct confer_node *last;

    if (result == NULL) {
        return CONFER_OK;
    }
    if (!result->more) {
        return CONFER_END;
    }
    last = &result->nodes[result->node_count - 1];
    free(iterator->after);
    iterator->after = client_copy_text(iterator->is_tree ? last->path : last->name);
    return iterator->after == NULL ? CONFER_NO_MEMORY : CONFER_OK;
}

/* A page that does not lie behind the one before would lead in circles. */
static bool goes_forward(const struct confer_iterator *iterator)
{
    const struct confer_result *result = iterator->result;

    if (iterator->after == NULL || result->node_count == 0) {
        return true;
    }
    return iterator->is_tree ? client_known_compare(iterator->after, result->nodes[0].path) < 0
                             : strcmp(iterator->after, result->nodes[0].name) < 0;
}

static enum confer_status fetch(struct confer_iterator *iterator)
{
    enum confer_status status = move_on(iterator);

    if (status != CONFER_OK) {
        return status;
    }
    confer_result_free(iterator->result);
    iterator->result = NULL;
    iterator->next = 0;
    iterator->page.after = iterator->after;
    status = iterator->is_tree ? confer_read_tree(iterator->confer, iterator->path, &iterator->page,
                                                  &iterator->call, &iterator->result)
                               : confer_list(iterator->confer, iterator->path, &iterator->page,
                                             &iterator->call, &iterator->result);
    return status == CONFER_OK && !goes_forward(iterator) ? CONFER_PROTOCOL : status;
}

enum confer_status confer_next(struct confer_iterator *iterator,
                               const struct confer_node **ret_node)
{
    while (iterator->status == CONFER_OK &&
           (iterator->result == NULL || iterator->next == iterator->result->node_count)) {
        iterator->status = fetch(iterator);
    }
    if (iterator->status != CONFER_OK) {
        return iterator->status;
    }
    *ret_node = &iterator->result->nodes[iterator->next++];
    return CONFER_OK;
}

const char *confer_iterator_message(const struct confer_iterator *iterator)
{
    return iterator->result != NULL && iterator->result->status == iterator->status
               ? iterator->result->message
               : confer_status_text(iterator->status);
}

uint64_t confer_iterator_zxid(const struct confer_iterator *iterator)
{
    return iterator->result == NULL ? 0 : iterator->result->zxid;
}

void confer_iterator_free(struct confer_iterator *iterator)
{
    if (iterator != NULL) {
        confer_result_free(iterator->result);
        free(iterator->path);
        free(iterator->after);
        free(iterator);
    }
}
