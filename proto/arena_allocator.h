/* protobuf-c's allocator on top of an arena: freeing is left to the arena. */
#ifndef PROTO_ARENA_ALLOCATOR_H
#define PROTO_ARENA_ALLOCATOR_H

#include "base/arena.h"

#include <protobuf-c/protobuf-c.h>

/* Valid as long as the arena; what it gives out likewise. */
ProtobufCAllocator arena_allocator(struct arena *arena);

#endif
