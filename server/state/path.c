#include "server/state/path.h"

#include <string.h>

/* One character of UTF-8, at most three bytes long: longer ones lie outside the basic plane, which
 * is not allowed. 0 if malformed. */
static size_t character_decode(struct bytes text, uint32_t *ret_character)
{
    uint8_t first = text.data[0];

    if (first < 0x80) {
        *ret_character = first;
        return 1;
    }
    if (first >= 0xc2 && first < 0xe0 && text.size >= 2 && (text.data[1] & 0xc0) == 0x80) {
        *ret_character = (uint32_t)(first & 0x1f) << 6 | (text.data[1] & 0x3f);
        return 2;
    }
    if (first >= 0xe0 && first < 0xf0 && text.size >= 3 && (text.data[1] & 0xc0) == 0x80 &&
        (text.data[2] & 0xc0) == 0x80) {
        *ret_character = (uint32_t)(first & 0x0f) << 12 | (uint32_t)(text.data[1] & 0x3f) << 6 |
                         (text.data[2] & 0x3f);
        return *ret_character >= 0x800 ? 3 : 0;
    }
    return 0;
}

static bool character_is_legal(uint32_t character)
{
    return character > 0x1f && !(character >= 0x7f && character <= 0x9f) &&
           !(character >= 0xd800 && character <= 0xf8ff) && character < 0xfff0;
}

/* Characters of ASCII that are printed are legal, and nearly all that there are. */
static struct bytes skip_plain(struct bytes text)
{
    size_t plain = 0;

    while (plain < text.size && text.data[plain] >= ' ' && text.data[plain] <= '~') {
        plain++;
    }
    return bytes_of(text.data + plain, text.size - plain);
}

static bool name_is_legal(struct bytes name)
{
    if (name.size == 0 || bytes_equal(name, bytes_of_text(".")) ||
        bytes_equal(name, bytes_of_text(".."))) {
        return false;
    }
    name = skip_plain(name);
    while (name.size > 0) {
        uint32_t character;
        size_t size = character_decode(name, &character);

        if (size == 0 || !character_is_legal(character)) {
            return false;
        }
        name = bytes_of(name.data + size, name.size - size);
    }
    return true;
}

/* As path_take, but lets the name be empty. */
static bool take_any(struct bytes *rest, struct bytes *ret_name)
{
    const uint8_t *start;
    const uint8_t *slash;
    size_t size;

    if (rest->size == 0 || rest->data[0] != '/') {
        return false;
    }
    start = rest->data + 1;
    size = rest->size - 1;
    slash = size == 0 ? NULL : memchr(start, '/', size);
    if (slash != NULL) {
        size = (size_t)(slash - start);
    }
    *ret_name = bytes_of(start, size);
    *rest = bytes_of(start + size, rest->size - 1 - size);
    return true;
}

bool path_take(struct bytes *rest, struct bytes *ret_name)
{
    struct bytes name;
    struct bytes after = *rest;

    if (!take_any(&after, &name) || name.size == 0) {
        return false;
    }
    *rest = after;
    *ret_name = name;
    return true;
}

enum op_error path_check(struct bytes path)
{
    struct bytes rest = path;
    struct bytes name;
    bool too_long = path.size > STATE_PATH_BYTES_MAX;

    if (path.size == 0 || path.data[0] != '/') {
        return OP_BAD_ARGUMENTS;
    }
    if (path.size == 1) {
        return OP_OK;
    }
    while (rest.size > 0) {
        if (!take_any(&rest, &name) || !name_is_legal(name)) {
            return OP_BAD_ARGUMENTS;
        }
        too_long = too_long || name.size > STATE_COMPONENT_BYTES_MAX;
    }
    return too_long ? OP_LIMIT : OP_OK;
}

bool state_path_is_valid(struct bytes path)
{
    return path_check(path) == OP_OK;
}

bool path_split(struct bytes path, struct bytes *ret_parent, struct bytes *ret_name)
{
    const uint8_t *slash;
    size_t parent_size;

    if (path.size == 0 || memchr(path.data, '\0', path.size) != NULL) {
        return false;
    }
    slash = memrchr(path.data, '/', path.size);
    if (slash == NULL) {
        return false;
    }
    parent_size = (size_t)(slash - path.data);
    *ret_parent = bytes_of(path.data, parent_size);
    *ret_name = bytes_of(slash + 1, path.size - parent_size - 1);
    return true;
}

bool path_is_system(struct bytes path)
{
    static const char *const names[] = {"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (bytes_equal(path, bytes_of_text(names[i]))) {
            return true;
        }
    }
    return false;
}
