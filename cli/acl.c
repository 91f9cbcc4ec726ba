#include "cli/acl.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    char letter;
    uint32_t permission;
} letters[] = {{'c', CONFER_PERMISSION_CREATE},
               {'d', CONFER_PERMISSION_DELETE},
               {'r', CONFER_PERMISSION_READ},
               {'w', CONFER_PERMISSION_WRITE},
               {'a', CONFER_PERMISSION_ADMIN}};

enum { LETTERS = sizeof letters / sizeof letters[0] };

static bool take_permissions(const char *text, uint32_t *ret_permissions)
{
    uint32_t permissions = 0;

    for (; *text != '\0'; text++) {
        size_t i = 0;

        while (i < LETTERS && letters[i].letter != *text) {
            i++;
        }
        if (i == LETTERS) {
            return false;
        }
        permissions |= letters[i].permission;
    }
    *ret_permissions = permissions;
    return true;
}

/* SCHEME:ID:PERMISSIONS; an id may have colons of its own. */
static bool take_entry(char *text, struct confer_acl_entry *ret_entry)
{
    char *first = strchr(text, ':');
    char *last = strrchr(text, ':');

    if (first == NULL || first == text || first == last ||
        !take_permissions(last + 1, &ret_entry->permissions)) {
        return false;
    }
    *first = '\0';
    *last = '\0';
    ret_entry->scheme = text;
    ret_entry->id = first + 1;
    return true;
}

bool acl_parse(const struct cli *cli, const char *text, struct acl *ret_acl)
{
    struct acl acl = {.text = xstrdup(text)};
    size_t capacity = 1;
    char *rest = acl.text;

    for (const char *at = text; *at != '\0'; at++) {
        capacity += *at == ',';
    }
    acl.entries = xcalloc(capacity, sizeof *acl.entries);
    while (rest != NULL) {
        char *entry = strsep(&rest, ",");

        if (!take_entry(entry, &acl.entries[acl.count])) {
            (void)cli_usage(
                cli, "'%s' is no SCHEME:ID:PERMISSIONS, as world:anyone:r or auth::cdrwa", entry);
            acl_release(&acl);
            return false;
        }
        acl.count++;
    }
    *ret_acl = acl;
    return true;
}

void acl_release(struct acl *acl)
{
    free(acl->entries);
    free(acl->text);
}

static void print_permissions(FILE *file, uint32_t permissions)
{
    for (size_t i = 0; i < LETTERS; i++) {
        if ((permissions & letters[i].permission) != 0) {
            (void)fputc(letters[i].letter, file);
        }
    }
}

void acl_print(FILE *file, const struct confer_acl_entry *entry)
{
    print_text(file, entry->scheme);
    (void)fputc(':', file);
    print_text(file, entry->id);
    (void)fputc(':', file);
    print_permissions(file, entry->permissions);
}

void acl_print_json(FILE *file, const struct confer_acl_entry *entries, size_t count)
{
    (void)fputs("\"acl\": [", file);
    for (size_t i = 0; i < count; i++) {
        (void)fputs(i == 0 ? "{\"scheme\": " : ", {\"scheme\": ", file);
        print_json_text(file, entries[i].scheme);
        (void)fputs(", \"id\": ", file);
        print_json_text(file, entries[i].id);
        (void)fputs(", \"permissions\": \"", file);
        print_permissions(file, entries[i].permissions);
        (void)fputs("\"}", file);
    }
    (void)fputc(']', file);
}
