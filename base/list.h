/* Doubly linked lists whose links live in the elements. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct list {
    struct list *previous;
    struct list *next;
};

/* The struct that contains `pointer` as its member `member`. */
#define CONTAINER_OF(pointer, type, member) ((type *)((uintptr_t)(pointer)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->previous = list;
    list->next = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

/* Insert `link` before `position`; with the head as position that is the end of the list. */
static inline void list_insert_before(struct list *position, struct list *link)
{
    link->previous = position->previous;
    link->next = position;
    position->previous->next = link;
    position->previous = link;
}

static inline void list_append(struct list *list, struct list *link)
{
    list_insert_before(list, link);
}

static inline void list_prepend(struct list *list, struct list *link)
{
    list_insert_before(list->next, link);
}

/* Take `link` out of the list it is in; it is left alone in a list of its own, so removing twice
 * is harmless. */
static inline void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

/* The first link, taken out, or NULL. */
static inline struct list *list_take_first(struct list *list)
{
    struct list *first = list->next;

    if (first == list) {
        return NULL;
    }
    list_remove(first);
    return first;
}

/* Move all links of `from`, in their order, in front of those in `list`; `from` is empty then. */
static inline void list_prepend_all(struct list *list, struct list *from)
{
    if (list_is_empty(from)) {
        return;
    }
    from->previous->next = list->next;
    list->next->previous = from->previous;
    from->next->previous = list;
    list->next = from->next;
    list_init(from);
}

/* Visit every link; the body may remove `link`. */
#define LIST_FOR_EACH(link, head)                                                                  \
    for (struct list *link = (head)->next, *list_following = link->next; link != (head);           \
         link = list_following, list_following = link->next)

#endif
