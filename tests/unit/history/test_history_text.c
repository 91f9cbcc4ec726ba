#include "tests/history/history_text.h"

#include "base/alloc.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char everything[] =
    "confer-history 1\n"
    "call client=1 session=7 invoked=100 returned=230 outcome=ok zxid=9 ; set path=/a/b make "
    "value=5 "
    "has_stat version=2 czxid=3 mzxid=9\n"
    "call client=2 linearizable invoked=300 returned=310 outcome=ok zxid=9 ; get path=/a/b value=5 "
    "exists\n"
    "call client=2 invoked=300 returned=310 outcome=refused error=4 ; set path=/a/b expected=3 "
    "value=6 error=4 ; remove path=/a error=11\n"
    "call client=2 invoked=320 outcome=unknown error=200 ; create path=/q/n- sequential ephemeral "
    "value=8\n"
    "call client=2 invoked=320 returned=330 outcome=not-applied error=101 ; check path=/a "
    "expected=-2147483648\n"
    "call client=2 invoked=340 returned=350 outcome=unknown ; check-absent path=/c\n"
    "call client=3 linearizable invoked=360 returned=370 outcome=ok ; list path=/q exists "
    "names=/q/%20x%25%2C%3B,/q/\xc3\xa4\n"
    "call client=3 invoked=360 returned=370 outcome=ok ; exists path=/q\n"
    "session opened client=1 session=7 asked=10 time=20 timeout=4000\n"
    "session contact client=1 session=7 asked=30 time=40\n"
    "session suspended client=1 session=7 asked=50 time=50\n"
    "session expired client=1 session=7 asked=60 time=60\n"
    "session closed client=1 session=8 asked=70\n"
    "event started client=2 watch=1 time=1 path=/ recursive\n"
    "event created client=2 watch=1 time=240 zxid=9 path=/a has_value value=5 has_stat owner=7\n"
    "event value-set client=2 watch=1 time=241 zxid=10 path=/a has_stat version=1\n"
    "event removed client=2 watch=1 time=242 zxid=11 path=/a\n"
    "event resync-begin client=2 watch=1 time=243 zxid=12 full\n"
    "event resync-end client=2 watch=1 time=244 zxid=13 resync\n"
    "event progress client=2 watch=1 time=245 zxid=14\n"
    "event ended client=2 watch=1 time=246\n"
    "effect created zxid=9 path=/a value=5 session=7\n"
    "effect value-set zxid=10 path=/a value=6 version=1 owner=7 session=7\n"
    "effect removed zxid=11 path=/a session=7\n"
    "effect session-opened zxid=7 session=7\n"
    "effect session-closed zxid=12 session=7\n"
    "effect session-expired zxid=13 session=8\n"
    "effects complete\n";

static struct history *read_or_fail(const char *text)
{
    struct history *history = NULL;
    struct error error = {.status = STATUS_OK};

    if (history_read(bytes_of_text(text), &history, &error) != STATUS_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
    }
    EXPECT(history != NULL);
    return history;
}

static void test_what_is_read_is_written_the_same(void)
{
    struct history *history = read_or_fail(everything);
    struct buffer text = BUFFER_INIT;

    EXPECT_EQ(history->call_count, 8);
    EXPECT_EQ(history->session_count, 5);
    EXPECT_EQ(history->event_count, 8);
    EXPECT_EQ(history->effect_count, 6);
    history_write(history, &text);
    buffer_put_u8(&text, 0);
    EXPECT_TEXT((const char *)text.data, everything);
    buffer_release(&text);
    history_record_free(history);
}

static void test_fields_mean_what_they_say(void)
{
    struct history *history = read_or_fail(everything);
    const struct history_call *call = &history->calls[2];

    EXPECT_EQ(call->outcome, HISTORY_REFUSED);
    EXPECT_EQ(call->step_count, 2);
    EXPECT_EQ(call->steps[0].expected, 3);
    EXPECT_EQ(call->steps[1].expected, HISTORY_ANY_VERSION);
    EXPECT_EQ(call->steps[1].error, HISTORY_ERROR_NOT_EXECUTED);
    EXPECT_EQ(history->calls[3].returned, HISTORY_NEVER);
    EXPECT_EQ(history->calls[3].error, 200);
    EXPECT_EQ(history->calls[4].steps[0].expected, INT32_MIN);
    EXPECT_EQ(history->calls[6].steps[0].name_count, 2);
    EXPECT_BYTES(history_path_text(history, history->calls[6].steps[0].names[0]),
                 bytes_of_text("/q/ x%,;"));
    EXPECT_EQ(history_path_parent(history, history->calls[6].steps[0].names[0]),
              history_path_find(history, bytes_of_text("/q")));
    EXPECT_EQ(history->sessions[4].time, HISTORY_NEVER);
    EXPECT(history->effects_complete);
    history_record_free(history);
}

static void test_comments_and_empty_lines_say_nothing(void)
{
    struct history *history = read_or_fail("confer-history 1\n# call nonsense\n\n"
                                           "session expired session=1 time=5\n");

    EXPECT_EQ(history->session_count, 1);
    history_record_free(history);
}

static void expect_refused(const char *lines, const char *part)
{
    struct buffer text = BUFFER_INIT;
    struct history *history = NULL;
    struct error error = {.status = STATUS_OK};

    buffer_put(&text, bytes_of_text("confer-history 1\n"));
    buffer_put(&text, bytes_of_text(lines));
    EXPECT_EQ(history_read(buffer_lend(&text), &history, &error), STATUS_INVALID);
    EXPECT(history == NULL);
    EXPECT_CONTAINS(error.text, "line 2: ");
    EXPECT_CONTAINS(error.text, part);
    buffer_release(&text);
}

static void test_a_bad_line_is_named_with_what_is_wrong(void)
{
    expect_refused("cal client=1", "'cal' is no record; there are: call session event effect");
    expect_refused("call client=1 client=2 outcome=ok ; get path=/a", "client stands there twice");
    expect_refused("call client= outcome=ok ; get path=/a", "client= has no number");
    expect_refused("call client outcome=ok ; get path=/a", "client needs a value");
    expect_refused("call client=1x outcome=ok ; get path=/a", "client='1x' is no number");
    expect_refused("call client=18446744073709551616 outcome=ok ; get path=/a", "is above");
    expect_refused("call colour=1 outcome=ok ; get path=/a", "nothing here has a field 'colour'");
    expect_refused("call linearizable=1 outcome=ok ; get path=/a", "linearizable takes no value");
    expect_refused("call returned=1 outcome=good ; get path=/a", "'good' is no outcome");
    expect_refused("call error=1000 returned=1 outcome=ok ; get path=/a",
                   "error=1000 is above 999");
    expect_refused("call returned=1 ; get path=/a", "a call needs outcome=");
    expect_refused("call returned=1 outcome=ok", "a call needs an operation");
    expect_refused("call returned=1 outcome=ok ; ", "the line ends before");
    expect_refused("call outcome=ok ; get path=/a", "never returned has outcome=unknown");
    expect_refused("call invoked=5 returned=4 outcome=ok ; get path=/a", "before it was invoked");
    expect_refused("call returned=1 outcome=ok ; fetch path=/a", "'fetch' is no kind");
    expect_refused("call returned=1 outcome=ok ; get", "an operation needs path=");
    expect_refused("call returned=1 outcome=ok ; get path=a", "does not start with a slash");
    expect_refused("call returned=1 outcome=ok ; get path=/%4", "needs two digits");
    expect_refused("call returned=1 outcome=ok ; get path=/%4g", "needs two digits");
    expect_refused("call returned=1 outcome=ok ; get path=/\x01", "must be written %01");
    expect_refused("call returned=1 outcome=ok ; get path=/a names=/a/b", "only a list has names=");
    expect_refused("call returned=1 outcome=ok ; list path=/a names=/b,x", "names='x'");
    expect_refused("call returned=1 outcome=ok ; create path=/", "nobody creates the root");
    expect_refused("call returned=1 outcome=ok ; set path=/a expected=2147483648", "is above");
    expect_refused("call returned=1 outcome=ok ; set path=/a expected=-2147483649", "is above");
    expect_refused("session gone session=1", "'gone' is no kind");
    expect_refused("session", "the line ends before");
    expect_refused("session closed client=1", "needs session=");
    expect_refused("session opened session=1 asked=3 time=2", "asked= is later than time=");
    expect_refused("event created zxid=1", "this event needs path=");
    expect_refused("effect created zxid=1", "this effect needs path=");
    expect_refused("effect session-opened zxid=1", "this effect needs session=");
    expect_refused("session opened a b c d e f g h i j k l m n o p q r s t u v w x y z", "words");
}

static void test_a_file_of_another_kind_is_refused(void)
{
    struct history *history = NULL;
    struct error error = {.status = STATUS_OK};

    EXPECT_EQ(history_read(bytes_of_text("confer-history 2\n"), &history, &error), STATUS_INVALID);
    EXPECT_CONTAINS(error.text, "line 1: a history starts with 'confer-history 1'");
    EXPECT_EQ(history_read(bytes_of_text(""), &history, &error), STATUS_INVALID);
}

static void test_a_path_has_a_limit(void)
{
    struct buffer text = BUFFER_INIT;
    struct history *history = NULL;
    struct error error = {.status = STATUS_OK};

    buffer_put(&text, bytes_of_text("confer-history 1\neffect created path=/"));
    memset(buffer_extend(&text, 4096), 'a', 4096);
    EXPECT_EQ(history_read(buffer_lend(&text), &history, &error), STATUS_INVALID);
    EXPECT_CONTAINS(error.text, "longer than 4096 bytes");
    buffer_release(&text);
}

static void test_a_file_gives_back_what_was_saved(void)
{
    struct history *history = read_or_fail(everything);
    struct history *again = NULL;
    struct buffer text = BUFFER_INIT;
    struct error error = {.status = STATUS_OK};
    char file[512];

    (void)snprintf(file, sizeof file, "%s/history", test_folder());
    EXPECT_EQ(history_load(file, &again, &error), STATUS_NOT_FOUND);
    EXPECT_OK(history_save(history, file, &error));
    EXPECT_OK(history_load(file, &again, &error));
    history_write(again, &text);
    EXPECT_BYTES(buffer_lend(&text), bytes_of_text(everything));
    buffer_release(&text);
    history_record_free(history);
    history_record_free(again);
    (void)snprintf(file, sizeof file, "%s/no/such/folder", test_folder());
    EXPECT_EQ(history_load(file, &again, &error), STATUS_NOT_FOUND);
    EXPECT_CONTAINS(error.text, "no/such/folder");
}

/* Whatever a line holds, it is taken or refused. */
static void test_damaged_text_is_taken_or_refused(void)
{
    size_t size = strlen(everything);

    for (size_t i = 0; i < size; i++) {
        char *damaged = xstrdup(everything);
        struct history *history = NULL;
        struct error error;

        damaged[i] = (char)(damaged[i] ^ (1 << i % 7));
        if (history_read(bytes_of(damaged, size), &history, &error) == STATUS_OK) {
            history_record_free(history);
        }
        history = NULL;
        if (history_read(bytes_of(everything, i), &history, &error) == STATUS_OK) {
            history_record_free(history);
        }
        free(damaged);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {TEST_CASE(test_what_is_read_is_written_the_same),
                                             TEST_CASE(test_fields_mean_what_they_say),
                                             TEST_CASE(test_comments_and_empty_lines_say_nothing),
                                             TEST_CASE(test_a_bad_line_is_named_with_what_is_wrong),
                                             TEST_CASE(test_a_file_of_another_kind_is_refused),
                                             TEST_CASE(test_a_path_has_a_limit),
                                             TEST_CASE(test_a_file_gives_back_what_was_saved),
                                             TEST_CASE(test_damaged_text_is_taken_or_refused),
                                             TEST_END};
    return test_main("history_text", cases, argc, argv);
}
