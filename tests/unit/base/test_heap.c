#include "base/heap.h"

#include "base/list.h"
#include "base/prng.h"
#include "tests/support/test.h"

enum { NODE_COUNT = 300 };

struct timer {
    struct heap_node heap_node;
    bool present; /* the naive twin */
    uint64_t key;
};

static struct timer timers[NODE_COUNT];

static void reset_timers(void)
{
    for (size_t i = 0; i < NODE_COUNT; i++) {
        timers[i] = (struct timer){.present = false};
    }
}

static void check_against_twin(const struct heap *heap)
{
    const struct heap_node *first = heap_first(heap);
    uint64_t smallest = UINT64_MAX;
    size_t present = 0;

    for (size_t i = 0; i < NODE_COUNT; i++) {
        EXPECT_EQ(heap_contains(&timers[i].heap_node), timers[i].present);
        if (timers[i].present) {
            present++;
            smallest = timers[i].key < smallest ? timers[i].key : smallest;
        }
    }
    EXPECT_EQ(heap->count, present);
    EXPECT_EQ(first != NULL, present > 0);
    if (first != NULL) {
        EXPECT_EQ(first->key, smallest);
    }
    for (size_t i = 1; i < heap->count; i++) {
        EXPECT(heap->nodes[(i + 1) / 2 - 1]->key <= heap->nodes[i]->key);
        EXPECT_EQ(heap->nodes[i]->position, i + 1);
    }
}

static void test_agrees_with_a_naive_twin(void)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct prng prng;
        struct heap heap;

        reset_timers();
        prng_init(&prng, seed);
        heap_init(&heap);
        for (size_t step = 0; step < 4000; step++) {
            struct timer *timer = &timers[prng_below(&prng, NODE_COUNT)];

            if (prng_below(&prng, 3) == 0) {
                heap_remove(&heap, &timer->heap_node);
                timer->present = false;
            } else {
                timer->key = prng_below(&prng, 100); /* many equal keys */
                timer->present = true;
                heap_set(&heap, &timer->heap_node, timer->key);
            }
            if (step % 37 == 0) {
                check_against_twin(&heap);
            }
        }
        check_against_twin(&heap);
        heap_release(&heap);
    }
}

static void test_elements_come_out_in_order(void)
{
    struct prng prng;
    struct heap heap;
    uint64_t last = 0;

    reset_timers();
    prng_init(&prng, 1);
    heap_init(&heap);
    for (size_t i = 0; i < NODE_COUNT; i++) {
        heap_set(&heap, &timers[i].heap_node, prng_next(&prng));
    }
    for (size_t i = 0; i < NODE_COUNT; i++) {
        struct heap_node *first = heap_first(&heap);

        EXPECT(first->key >= last);
        last = first->key;
        heap_remove(&heap, first);
    }
    EXPECT(heap_first(&heap) == NULL);
    heap_release(&heap);
}

static void test_an_element_moves_both_ways(void)
{
    struct heap heap;

    reset_timers();
    heap_init(&heap);
    for (uint64_t i = 0; i < 10; i++) {
        heap_set(&heap, &timers[i].heap_node, 10 * (i + 1));
    }
    heap_set(&heap, &timers[9].heap_node, 1);
    EXPECT(heap_first(&heap) == &timers[9].heap_node);
    heap_set(&heap, &timers[9].heap_node, UINT64_MAX);
    EXPECT(heap_first(&heap) == &timers[0].heap_node);
    EXPECT_EQ(heap.count, 10);
    heap_release(&heap);
}

static void test_removing_what_is_not_there_does_nothing(void)
{
    struct heap heap;

    reset_timers();
    heap_init(&heap);
    heap_remove(&heap, &timers[0].heap_node);
    EXPECT_EQ(heap.count, 0);
    heap_set(&heap, &timers[0].heap_node, 5);
    heap_remove(&heap, &timers[0].heap_node);
    heap_remove(&heap, &timers[0].heap_node);
    EXPECT_EQ(heap.count, 0);
    EXPECT(heap_first(&heap) == NULL);
    heap_release(&heap);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_agrees_with_a_naive_twin), TEST_CASE(test_elements_come_out_in_order),
        TEST_CASE(test_an_element_moves_both_ways),
        TEST_CASE(test_removing_what_is_not_there_does_nothing), TEST_END};
    return test_main("heap", cases, argc, argv);
}
