#include "base/list.h"

#include "tests/support/test.h"

struct item {
    int value;
    struct list link;
};

/* The values from front to back as decimal digits; walks backwards too and compares. */
static uint64_t digits_of(const struct list *list)
{
    uint64_t forward = 0;
    uint64_t backward = 0;
    uint64_t place = 1;

    for (struct list *link = list->next; link != list; link = link->next) {
        forward = 10 * forward + (uint64_t)CONTAINER_OF(link, struct item, link)->value;
    }
    for (struct list *link = list->previous; link != list; link = link->previous) {
        backward += place * (uint64_t)CONTAINER_OF(link, struct item, link)->value;
        place *= 10;
    }
    EXPECT_EQ(forward, backward);
    return forward;
}

static void test_append_prepend_and_insert_keep_their_order(void)
{
    struct item items[] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}};
    struct list list;

    list_init(&list);
    EXPECT(list_is_empty(&list));
    list_append(&list, &items[1].link);
    list_append(&list, &items[3].link);
    list_prepend(&list, &items[0].link);
    list_insert_before(&items[3].link, &items[2].link);
    EXPECT(!list_is_empty(&list));
    EXPECT_EQ(digits_of(&list), 1234);
}

static void test_removing_twice_is_harmless(void)
{
    struct item items[] = {{.value = 1}, {.value = 2}, {.value = 3}};
    struct list list;

    list_init(&list);
    for (size_t i = 0; i < 3; i++) {
        list_append(&list, &items[i].link);
    }
    list_remove(&items[1].link);
    list_remove(&items[1].link);
    EXPECT_EQ(digits_of(&list), 13);
    list_append(&list, &items[1].link);
    EXPECT_EQ(digits_of(&list), 132);
}

static void test_take_first_empties_the_list_from_the_front(void)
{
    struct item items[] = {{.value = 1}, {.value = 2}};
    struct list list;

    list_init(&list);
    list_append(&list, &items[0].link);
    list_append(&list, &items[1].link);
    EXPECT(list_take_first(&list) == &items[0].link);
    EXPECT(list_take_first(&list) == &items[1].link);
    EXPECT(list_take_first(&list) == NULL);
    EXPECT(list_is_empty(&list));
}

static void test_a_walk_may_remove_what_it_stands_on(void)
{
    struct item items[9];
    struct list list;

    list_init(&list);
    for (int i = 0; i < 9; i++) {
        items[i].value = i + 1;
        list_append(&list, &items[i].link);
    }
    LIST_FOR_EACH (link, &list) {
        if (CONTAINER_OF(link, struct item, link)->value % 3 != 0) {
            list_remove(link);
        }
    }
    EXPECT_EQ(digits_of(&list), 369);
    LIST_FOR_EACH (link, &list) {
        list_remove(link);
    }
    EXPECT(list_is_empty(&list));
}

static void test_a_whole_list_goes_in_front_of_another(void)
{
    struct item items[] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}};
    struct list front;
    struct list list;

    list_init(&front);
    list_init(&list);
    list_prepend_all(&list, &front);
    EXPECT(list_is_empty(&list));
    list_append(&front, &items[0].link);
    list_append(&front, &items[1].link);
    list_prepend_all(&list, &front);
    EXPECT(list_is_empty(&front));
    EXPECT_EQ(digits_of(&list), 12);
    list_append(&front, &items[2].link);
    list_append(&front, &items[3].link);
    list_prepend_all(&list, &front);
    EXPECT(list_is_empty(&front));
    EXPECT_EQ(digits_of(&list), 3412);
    list_remove(&items[0].link);
    EXPECT_EQ(digits_of(&list), 342);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_append_prepend_and_insert_keep_their_order),
        TEST_CASE(test_removing_twice_is_harmless),
        TEST_CASE(test_take_first_empties_the_list_from_the_front),
        TEST_CASE(test_a_walk_may_remove_what_it_stands_on),
        TEST_CASE(test_a_whole_list_goes_in_front_of_another),
        TEST_END};
    return test_main("list", cases, argc, argv);
}
