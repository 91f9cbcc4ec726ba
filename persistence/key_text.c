#include "persistence/key_text.h"

#include <stdio.h>

void key_text(struct bytes key, char text[KEY_TEXT_BYTES_MAX])
{
    size_t used = 0;

    for (size_t i = 0; i < key.size && used + 8 < KEY_TEXT_BYTES_MAX; i++) {
        uint8_t byte = key.data[i];
        bool is_plain = byte > ' ' && byte < 0x7f && byte != '\\';

        used += (size_t)snprintf(text + used, KEY_TEXT_BYTES_MAX - used,
                                 is_plain ? "%c" : "\\x%02x", byte);
    }
    text[used] = '\0';
}
