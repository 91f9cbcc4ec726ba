#include "proto/arena_allocator.h"

static void *allocate(void *context, size_t bytes)
{
    return arena_alloc(context, bytes);
}

static void leave(void *context, void *memory)
{
    (void)context;
    (void)memory;
}

ProtobufCAllocator arena_allocator(struct arena *arena)
{
    return (ProtobufCAllocator){
        .alloc = allocate,
        .free = leave,
        .allocator_data = arena,
    };
}
