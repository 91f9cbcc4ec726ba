#include "server/front/zookeeper_command.h"

#include "base/prng.h"
#include "proto/jute.h"
#include "proto/record.pb-c.h"
#include "tests/support/test.h"

enum { ROUNDS = 3000, ACL_ENTRIES_MAX = 3, OPERATIONS_MAX = 5, VALUE_BYTES_MAX = 300 };

/* An operation in ZooKeeper's words, and in the log's. */
struct sample {
    int32_t type;
    Record__Operation operation;
    Record__Create create;
    Record__Set set;
    Record__Remove remove;
    Record__SetAcl set_acl;
    Record__Check check;
    Record__AclEntry entries[ACL_ENTRIES_MAX];
    Record__AclEntry *entry_pointers[ACL_ENTRIES_MAX];
};

static struct prng prng;
static struct buffer record;
static struct arena arena;

static ProtobufCBinaryData field_of(struct bytes bytes)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes.data, .len = bytes.size};
}

static ProtobufCBinaryData draw_bytes(const char *text, size_t size_max)
{
    static uint8_t from[VALUE_BYTES_MAX];
    struct bytes drawn = {.data = from, .size = (size_t)prng_below(&prng, size_max + 1)};

    memset(from, 'v', sizeof from);
    drawn = prng_below(&prng, 2) == 0 ? bytes_of_text(text) : drawn;
    jute_put_buffer(&record, drawn, false);
    return field_of(drawn);
}

static void draw_value(ProtobufCBinaryData *value, protobuf_c_boolean *value_is_null)
{
    if (prng_below(&prng, 4) == 0) {
        jute_put_buffer(&record, BYTES_EMPTY, true);
        *value_is_null = true;
    } else {
        *value = draw_bytes("", VALUE_BYTES_MAX);
    }
}

static int32_t draw_version(void)
{
    static const int32_t versions[] = {-1, 0, 1, 63, 64, INT32_MAX, INT32_MIN};
    int32_t version = versions[prng_below(&prng, sizeof versions / sizeof *versions)];

    jute_put_int(&record, version);
    return version;
}

static void draw_acl(struct sample *sample, size_t *ret_count, Record__AclEntry ***ret_entries)
{
    static const char *const identities[][2] = {
        {"world", "anyone"}, {"digest", "u:hash"}, {"ip", "10.0.0.0/8"}, {"auth", ""}};
    size_t count = (size_t)prng_between(&prng, 1, ACL_ENTRIES_MAX);

    jute_put_int(&record, (int32_t)count);
    for (size_t i = 0; i < count; i++) {
        const char *const *identity = identities[prng_below(&prng, 4)];
        const struct jute_acl_entry entry = {.permissions = (int32_t)prng_between(&prng, 1, 30),
                                             .scheme = bytes_of_text(identity[0]),
                                             .id = bytes_of_text(identity[1])};

        jute_put_acl_entry(&record, &entry);
        record__acl_entry__init(&sample->entries[i]);
        sample->entries[i].permissions = (uint32_t)entry.permissions;
        sample->entries[i].scheme = field_of(entry.scheme);
        sample->entries[i].id = field_of(entry.id);
        sample->entry_pointers[i] = &sample->entries[i];
    }
    *ret_count = count;
    *ret_entries = sample->entry_pointers;
}

static void draw_create(struct sample *sample)
{
    record__create__init(&sample->create);
    sample->create.path = draw_bytes("/a/b", 200);
    draw_value(&sample->create.value, &sample->create.value_is_null);
    draw_acl(sample, &sample->create.n_acl, &sample->create.acl);
    sample->create.mode = (Record__CreateMode)prng_below(&prng, 4);
    if (sample->type == JUTE_TYPE_CREATE_TTL) {
        sample->create.mode = RECORD__CREATE_MODE__PERSISTENT_TTL;
        sample->create.ttl_ms = prng_next(&prng) >> prng_between(&prng, 1, 63);
    }
    jute_put_int(&record, (int32_t)sample->create.mode);
    if (sample->type == JUTE_TYPE_CREATE_TTL) {
        jute_put_long(&record, (int64_t)sample->create.ttl_ms);
    }
    sample->operation.kind_case = RECORD__OPERATION__KIND_CREATE;
    sample->operation.create = &sample->create;
}

static void draw_set(struct sample *sample)
{
    record__set__init(&sample->set);
    sample->set.path = draw_bytes("/a", 200);
    draw_value(&sample->set.value, &sample->set.value_is_null);
    sample->set.version = draw_version();
    sample->operation.kind_case = RECORD__OPERATION__KIND_SET;
    sample->operation.set = &sample->set;
}

static void draw_remove(struct sample *sample)
{
    record__remove__init(&sample->remove);
    sample->remove.path = draw_bytes("/a", 200);
    sample->remove.version = draw_version();
    sample->operation.kind_case = RECORD__OPERATION__KIND_REMOVE;
    sample->operation.remove = &sample->remove;
}

static void draw_set_acl(struct sample *sample)
{
    record__set_acl__init(&sample->set_acl);
    sample->set_acl.path = draw_bytes("/a", 200);
    draw_acl(sample, &sample->set_acl.n_acl, &sample->set_acl.acl);
    sample->set_acl.version = draw_version();
    sample->operation.kind_case = RECORD__OPERATION__KIND_SET_ACL;
    sample->operation.set_acl = &sample->set_acl;
}

static void draw_check(struct sample *sample)
{
    record__check__init(&sample->check);
    sample->check.path = draw_bytes("/a", 200);
    sample->check.version = draw_version();
    sample->operation.kind_case = RECORD__OPERATION__KIND_CHECK;
    sample->operation.check = &sample->check;
}

static void draw(struct sample *sample)
{
    static const struct {
        int32_t type;
        void (*draw)(struct sample *sample);
    } kinds[] = {{JUTE_TYPE_CREATE, draw_create},   {JUTE_TYPE_CREATE_TTL, draw_create},
                 {JUTE_TYPE_SET_DATA, draw_set},    {JUTE_TYPE_DELETE, draw_remove},
                 {JUTE_TYPE_SET_ACL, draw_set_acl}, {JUTE_TYPE_CHECK, draw_check}};
    size_t kind = (size_t)prng_below(&prng, sizeof kinds / sizeof *kinds);

    record__operation__init(&sample->operation);
    sample->type = kinds[kind].type;
    kinds[kind].draw(sample);
}

static struct bytes packed(const Record__Command *command)
{
    size_t size = record__command__get_packed_size(command);
    uint8_t *bytes = arena_alloc(&arena, size);

    return bytes_of(bytes, record__command__pack(command, bytes));
}

static struct zookeeper_command_part
read_part(struct reader *reader, int32_t type, enum zookeeper_command_holder holder)
{
    struct zookeeper_command_part part;

    EXPECT(zookeeper_command_read(reader, type, holder, &arena, &part));
    EXPECT(!reader->failed && !part.is_illegal_create);
    return part;
}

static void start(void)
{
    prng_init(&prng, 11);
    arena_init(&arena);
}

static void stop(void)
{
    arena_release(&arena);
    buffer_release(&record);
}

static void test_a_command_is_to_the_byte_what_protobuf_c_packs(void)
{
    start();
    for (int i = 0; i < ROUNDS; i++) {
        Record__Command command = RECORD__COMMAND__INIT;
        struct sample sample;
        struct reader reader;

        buffer_clear(&record);
        draw(&sample);
        command.body_case = RECORD__COMMAND__BODY_OPERATION;
        command.operation = &sample.operation;
        reader = reader_of(buffer_lend(&record));
        EXPECT_BYTES(read_part(&reader, sample.type, ZOOKEEPER_COMMAND_ALONE).bytes,
                     packed(&command));
        EXPECT_EQ(reader.rest.size, 0);
        arena_reset(&arena);
    }
    stop();
}

static void test_so_is_a_transaction(void)
{
    start();
    for (int i = 0; i < ROUNDS / OPERATIONS_MAX; i++) {
        Record__Command command = RECORD__COMMAND__INIT;
        Record__Transaction transaction = RECORD__TRANSACTION__INIT;
        Record__Operation *operations[OPERATIONS_MAX];
        struct sample samples[OPERATIONS_MAX];
        struct bytes parts[OPERATIONS_MAX];
        struct reader reader;
        size_t count = (size_t)prng_between(&prng, 1, OPERATIONS_MAX);

        buffer_clear(&record);
        for (size_t at = 0; at < count; at++) {
            draw(&samples[at]);
            operations[at] = &samples[at].operation;
        }
        transaction.operations = operations;
        transaction.n_operations = count;
        transaction.bounded = true;
        command.body_case = RECORD__COMMAND__BODY_TRANSACTION;
        command.transaction = &transaction;
        reader = reader_of(buffer_lend(&record));
        for (size_t at = 0; at < count; at++) {
            parts[at] =
                read_part(&reader, samples[at].type, ZOOKEEPER_COMMAND_IN_TRANSACTION).bytes;
        }
        EXPECT_BYTES(zookeeper_command_of_all(parts, count, &arena), packed(&command));
        arena_reset(&arena);
    }
    stop();
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_a_command_is_to_the_byte_what_protobuf_c_packs),
        TEST_CASE(test_so_is_a_transaction),
        TEST_END,
    };

    return test_main("zookeeper_command", cases, argc, argv);
}
