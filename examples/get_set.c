/* Set a value, read it back, change it only if nobody else did.
 *
 *     get_set HOST:PORT[,HOST:PORT...] */
#include <confer.h>

#include <stdio.h>
#include <string.h>

#define PATH "/examples/greeting"

static int fail(const char *what, enum confer_status status, struct confer_result *result)
{
    fprintf(stderr, "%s: %s\n", what,
            result != NULL ? result->message : confer_status_text(status));
    confer_result_free(result);
    return 1;
}

/* Whoever changes the node in between wins, and this call says so. */
static int change(struct confer *confer, const char *value, int32_t version)
{
    struct confer_result *result = NULL;
    enum confer_status status =
        confer_set(confer, PATH, value, strlen(value), version, NULL, &result);

    if (status == CONFER_BAD_VERSION) {
        printf("not changed: somebody else was faster than version %d\n", version);
        confer_result_free(result);
        return 0;
    }
    if (status != CONFER_OK) {
        return fail("change", status, result);
    }
    printf("changed to \"%s\", version %d\n", value, result->stat.version);
    confer_result_free(result);
    return 0;
}

static int run(struct confer *confer)
{
    struct confer_result *result = NULL;
    enum confer_status status;
    int32_t version;

    /* The node and its parents are made if they are missing. */
    status = confer_set(confer, PATH, "hello", strlen("hello"), CONFER_ANY_VERSION, NULL, &result);
    if (status != CONFER_OK) {
        return fail("set", status, result);
    }
    confer_result_free(result);

    status = confer_get(confer, PATH, 0, NULL, &result);
    if (status != CONFER_OK) {
        return fail("get", status, result);
    }
    version = result->stat.version;
    printf("%s = \"%s\", version %d\n", PATH, result->value, version);
    confer_result_free(result);

    return change(confer, "good morning", version) + change(confer, "good evening", version);
}

int main(int argc, char **argv)
{
    struct confer *confer = NULL;
    enum confer_status status;
    int code;

    if (argc != 2) {
        fprintf(stderr, "usage: get_set HOST:PORT[,HOST:PORT...]\n");
        return 2;
    }
    status = confer_open(argv[1], NULL, &confer);
    if (status != CONFER_OK) {
        return fail("open", status, NULL);
    }
    code = run(confer);
    confer_close(confer);
    return code;
}
