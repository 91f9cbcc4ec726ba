#include "server/state/path.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

struct path_case {
    const char *text;
    enum op_error error;
};

static void test_paths_are_legal_as_in_zookeeper(void)
{
    static const struct path_case cases[] = {
        {"", OP_BAD_ARGUMENTS},
        {"/", OP_OK},
        {"a", OP_BAD_ARGUMENTS},
        {"/a", OP_OK},
        {"/a/", OP_BAD_ARGUMENTS},
        {"//", OP_BAD_ARGUMENTS},
        {"/a//b", OP_BAD_ARGUMENTS},
        {"/.", OP_BAD_ARGUMENTS},
        {"/..", OP_BAD_ARGUMENTS},
        {"/a/./b", OP_BAD_ARGUMENTS},
        {"/a/../b", OP_BAD_ARGUMENTS},
        {"/...", OP_OK},
        {"/.a", OP_OK},
        {"/a..", OP_OK},
        {"/a b~!@#", OP_OK},
        {"/\x01", OP_BAD_ARGUMENTS},
        {"/\x1f", OP_BAD_ARGUMENTS},
        {"/\x7f", OP_BAD_ARGUMENTS},
        {"/\xc2\x80", OP_BAD_ARGUMENTS},     /* U+0080 */
        {"/\xc2\x9f", OP_BAD_ARGUMENTS},     /* U+009F */
        {"/\xc2\xa0", OP_OK},                /* U+00A0 */
        {"/\xc3\xa4", OP_OK},                /* U+00E4 */
        {"/\xed\x9f\xbf", OP_OK},            /* U+D7FF */
        {"/\xed\xa0\x80", OP_BAD_ARGUMENTS}, /* U+D800 */
        {"/\xef\xa3\xbf", OP_BAD_ARGUMENTS}, /* U+F8FF */
        {"/\xef\xa4\x80", OP_OK},            /* U+F900 */
        {"/\xef\xbf\xaf", OP_OK},            /* U+FFEF */
        {"/\xef\xbf\xb0", OP_BAD_ARGUMENTS}, /* U+FFF0 */
        {"/\xef\xbf\xbf", OP_BAD_ARGUMENTS}, /* U+FFFF */
        {"/\xf0\x9f\x98\x80", OP_BAD_ARGUMENTS},
        {"/\xc0\xaf", OP_BAD_ARGUMENTS},     /* overlong */
        {"/\xe0\x80\xaf", OP_BAD_ARGUMENTS}, /* overlong */
        {"/\xc3", OP_BAD_ARGUMENTS},         /* cut off */
        {"/\xe2\x82", OP_BAD_ARGUMENTS},     /* cut off */
        {"/\xc3/", OP_BAD_ARGUMENTS},
        {"/\x80", OP_BAD_ARGUMENTS},
        {"/\xff", OP_BAD_ARGUMENTS},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum op_error error = path_check(bytes_of_text(cases[i].text));

        if (error != cases[i].error) {
            (void)printf("\ncase %zu\n", i);
        }
        EXPECT_EQ(error, cases[i].error);
        EXPECT_EQ(state_path_is_valid(bytes_of_text(cases[i].text)), error == OP_OK);
    }
    EXPECT_EQ(path_check(bytes_of("/a\0b", 4)), OP_BAD_ARGUMENTS);
}

static void test_lengths_are_limited_to_the_byte(void)
{
    static char path[STATE_PATH_BYTES_MAX + 1];

    memset(path, 'a', sizeof path);
    path[0] = '/';
    EXPECT_EQ(path_check(bytes_of(path, 1 + STATE_COMPONENT_BYTES_MAX)), OP_OK);
    EXPECT_EQ(path_check(bytes_of(path, 2 + STATE_COMPONENT_BYTES_MAX)), OP_LIMIT);
    for (size_t i = 0; i < sizeof path; i += 400) {
        path[i] = '/';
    }
    EXPECT_EQ(path_check(bytes_of(path, STATE_PATH_BYTES_MAX)), OP_OK);
    EXPECT_EQ(path_check(bytes_of(path, STATE_PATH_BYTES_MAX + 1)), OP_LIMIT);
    path[STATE_PATH_BYTES_MAX] = '/';
    EXPECT_EQ(path_check(bytes_of(path, STATE_PATH_BYTES_MAX + 1)), OP_BAD_ARGUMENTS);
}

static void test_split_is_at_the_last_slash(void)
{
    struct bytes parent;
    struct bytes name;

    EXPECT(path_split(bytes_of_text("/a/b"), &parent, &name));
    EXPECT_BYTES(parent, bytes_of_text("/a"));
    EXPECT_BYTES(name, bytes_of_text("b"));
    EXPECT(path_split(bytes_of_text("/a"), &parent, &name));
    EXPECT_EQ(parent.size, 0);
    EXPECT(path_split(bytes_of_text("/a/"), &parent, &name));
    EXPECT_EQ(name.size, 0);
    EXPECT(!path_split(bytes_of_text("a"), &parent, &name));
    EXPECT(!path_split(bytes_of_text(""), &parent, &name));
    EXPECT(!path_split(bytes_of("/a\0", 3), &parent, &name));
}

static void test_only_the_four_system_nodes_are_system_nodes(void)
{
    EXPECT(path_is_system(bytes_of_text("/")));
    EXPECT(path_is_system(bytes_of_text("/zookeeper")));
    EXPECT(path_is_system(bytes_of_text("/zookeeper/quota")));
    EXPECT(path_is_system(bytes_of_text("/zookeeper/config")));
    EXPECT(!path_is_system(bytes_of_text("/zookeeper/")));
    EXPECT(!path_is_system(bytes_of_text("/zookeeper/quota/a")));
    EXPECT(!path_is_system(bytes_of_text("")));
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        TEST_CASE(test_paths_are_legal_as_in_zookeeper),
        TEST_CASE(test_lengths_are_limited_to_the_byte),
        TEST_CASE(test_split_is_at_the_last_slash),
        TEST_CASE(test_only_the_four_system_nodes_are_system_nodes),
        TEST_END,
    };

    return test_main("path", cases, argc, argv);
}
