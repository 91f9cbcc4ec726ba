/* A key for a person to read. */
#ifndef PERSISTENCE_KEY_TEXT_H
#define PERSISTENCE_KEY_TEXT_H

#include "base/bytes.h"

enum { KEY_TEXT_BYTES_MAX = 128 };

/* Text as it is, other bytes as \xNN; cut to fit. */
void key_text(struct bytes key, char text[KEY_TEXT_BYTES_MAX]);

#endif
