/* Folders with all that is in them. */
#ifndef TESTS_SUPPORT_FOLDER_H
#define TESTS_SUPPORT_FOLDER_H

/* What is not there counts as removed. */
void folder_remove(const char *path);
/* `to` is what `from` is, and nothing else. */
void folder_copy(const char *from, const char *to);

#endif
