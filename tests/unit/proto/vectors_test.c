/* tests/unit/proto/vectors_test.c - every vector of tests/vectors against our decoder and
 * encoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/proto/any_record.h"

#define FOLDER PGTIDE_SOURCE_DIR "/tests/vectors/"

struct message {
    uint8_t *data;
    size_t len;
};

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *vectors = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

    if (vectors == NULL) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }
    assert_true(json_array_size(vectors) > 0);
    return vectors;
}

static const char *text_of(const json_t *vector, const char *member)
{
    const char *text = json_string_value(json_object_get(vector, member));

    return text != NULL ? text : "";
}

static const char *error_name(enum wire_err err)
{
    switch (err) {
    case WIRE_OK:
        return "WIRE_OK";
    case WIRE_ERR_END:
        return "WIRE_ERR_END";
    case WIRE_ERR_SHORT:
        return "WIRE_ERR_SHORT";
    case WIRE_ERR_TYPE:
        return "WIRE_ERR_TYPE";
    case WIRE_ERR_RANGE:
        return "WIRE_ERR_RANGE";
    case WIRE_ERR_ARITY:
        return "WIRE_ERR_ARITY";
    case WIRE_ERR_UNKNOWN:
        return "WIRE_ERR_UNKNOWN";
    case WIRE_ERR_DEPTH:
        return "WIRE_ERR_DEPTH";
    case WIRE_ERR_TRAILING:
        return "WIRE_ERR_TRAILING";
    }
    return "unnamed";
}

static uint8_t digit_of(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    assert_non_null(at);
    return (uint8_t)(at - digits);
}

/* In a block of exactly its length, so that ASan sees a read past its end. */
static struct message from_hex(const char *hex)
{
    size_t len = strlen(hex) / 2;
    uint8_t *data = malloc(len > 0 ? len : 1);

    assert_non_null(data);
    assert_int_equal(strlen(hex) % 2, 0);
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)(digit_of(hex[2 * i]) << 4 | digit_of(hex[2 * i + 1]));
    }
    return (struct message){ data, len };
}

static json_t *json_of(const struct any_record *record)
{
    json_error_t error;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    any_record_print(out, record);
    assert_int_equal(fclose(out), 0);
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        fail_msg("%s: %s", error.text, text);
    }
    free(text);
    return json;
}

/* Decodes a whole message; `out` collects the records as JSON, `writer` their bytes as we encode
 * them. */
static enum wire_err decode_all(struct message message, json_t *out, struct wire_writer *writer)
{
    struct any_record record;
    struct wire_reader in;
    enum wire_err err = WIRE_OK;

    wire_reader_init(&in, message.data, message.len);
    while ((err = any_record_decode(&in, &record)) == WIRE_OK) {
        json_array_append_new(out, json_of(&record));
        any_record_encode(writer, &record);
    }
    return err == WIRE_ERR_END ? wire_reader_finish(&in) : err;
}

static void check_records(const json_t *vector, json_t *decoded)
{
    json_t *expected = json_object_get(vector, "records");

    assert_true(json_is_array(expected));
    if (!json_equal(expected, decoded)) {
        char *text = json_dumps(decoded, JSON_COMPACT);
        print_error("%s: decoded to %s\n", text_of(vector, "name"), text);
        free(text);
        fail();
    }
}

static void check_bytes(const json_t *vector, struct message message,
                        const struct wire_writer *encoded)
{
    bool expected = !json_is_false(json_object_get(vector, "shortest"));
    bool equal = encoded->len == message.len &&
                 (message.len == 0 || memcmp(encoded->data, message.data, message.len) == 0);

    if (equal != expected) {
        fail_msg("%s: encoded to %s bytes", text_of(vector, "name"), equal ? "the same" : "other");
    }
}

static void check_vector(const json_t *vector)
{
    struct message message = from_hex(text_of(vector, "hex"));
    struct wire_writer encoded = { 0 };
    json_t *decoded = json_array();
    json_t *error = json_object_get(vector, "error");

    enum wire_err err = decode_all(message, decoded, &encoded);
    const char *expected = error != NULL ? json_string_value(error) : "WIRE_OK";
    if (strcmp(error_name(err), expected) != 0) {
        fail_msg("%s: %s instead of %s", text_of(vector, "name"), error_name(err), expected);
    }
    if (error == NULL) {
        check_records(vector, decoded);
        check_bytes(vector, message, &encoded);
    }
    json_decref(decoded);
    wire_writer_fini(&encoded);
    free(message.data);
}

static void check_file(const char *path)
{
    json_t *vectors = load(path);
    const json_t *vector = NULL;
    size_t i = 0;

    json_array_foreach(vectors, i, vector)
    {
        check_vector(vector);
    }
    print_message("%zu vectors\n", i);
    json_decref(vectors);
}

/* However a record is cut, it is refused; a message cut between two records is a shorter
 * message. */
static void check_every_cut(const json_t *vector)
{
    struct message message = from_hex(text_of(vector, "hex"));
    size_t records = json_array_size(json_object_get(vector, "records"));
    size_t complete = 0;

    for (size_t len = 0; len < message.len; len++) {
        struct wire_writer encoded = { 0 };
        json_t *decoded = json_array();
        struct message cut = { malloc(len > 0 ? len : 1), len };
        assert_non_null(cut.data);
        memcpy(cut.data, message.data, len);
        enum wire_err err = decode_all(cut, decoded, &encoded);
        assert_true(err == WIRE_OK || err == WIRE_ERR_SHORT);
        complete += err == WIRE_OK ? 1 : 0;
        free(cut.data);
        json_decref(decoded);
        wire_writer_fini(&encoded);
    }
    assert_int_equal(complete, records);
    free(message.data);
}

static void test_messages_decode_and_encode_as_specified(void **state)
{
    (void)state;
    check_file(FOLDER "messages.json");
}

static void test_records_of_the_tailer_decode_and_encode_as_specified(void **state)
{
    (void)state;
    check_file(FOLDER "tailer.json");
}

static void test_records_of_the_broker_decode_and_encode_as_specified(void **state)
{
    (void)state;
    check_file(FOLDER "broker.json");
}

static void test_records_of_the_edge_decode_and_encode_as_specified(void **state)
{
    (void)state;
    check_file(FOLDER "edge.json");
}

static void test_a_message_cut_inside_a_record_is_short(void **state)
{
    static const char *const files[] = { FOLDER "messages.json", FOLDER "tailer.json",
                                         FOLDER "broker.json", FOLDER "edge.json" };
    size_t checked = 0;

    (void)state;
    for (size_t file = 0; file < sizeof(files) / sizeof(files[0]); file++) {
        json_t *vectors = load(files[file]);
        const json_t *vector = NULL;
        size_t i = 0;
        json_array_foreach(vectors, i, vector)
        {
            if (json_object_get(vector, "records") != NULL) {
                check_every_cut(vector);
                checked++;
            }
        }
        json_decref(vectors);
    }
    assert_true(checked > 0);
}

static void check_position(const json_t *vector)
{
    const char *text = text_of(vector, "text");
    const json_t *expected = json_object_get(vector, "position");
    struct wire_position position;
    char again[WIRE_POSITION_TEXT_SIZE];

    bool parsed = wire_position_parse(text, strlen(text), &position);
    if (parsed == json_is_null(expected)) {
        fail_msg("%s: %s", text_of(vector, "name"), parsed ? "taken" : "refused");
    }
    if (parsed) {
        assert_int_equal(position.epoch, strtoull(text_of(expected, "epoch"), NULL, 16));
        assert_int_equal(position.lsn, strtoull(text_of(expected, "lsn"), NULL, 16));
        assert_int_equal(position.index, json_integer_value(json_object_get(expected, "index")));
        wire_position_text(&position, again);
        assert_string_equal(again, text);
    }
}

static void test_positions_have_one_text_each(void **state)
{
    json_t *vectors = load(FOLDER "positions.json");
    const json_t *vector = NULL;
    size_t i = 0;

    (void)state;
    json_array_foreach(vectors, i, vector)
    {
        check_position(vector);
    }
    json_decref(vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_decode_and_encode_as_specified),
        cmocka_unit_test(test_records_of_the_tailer_decode_and_encode_as_specified),
        cmocka_unit_test(test_records_of_the_broker_decode_and_encode_as_specified),
        cmocka_unit_test(test_records_of_the_edge_decode_and_encode_as_specified),
        cmocka_unit_test(test_a_message_cut_inside_a_record_is_short),
        cmocka_unit_test(test_positions_have_one_text_each),
    };

    return cmocka_run_group_tests_name("proto/vectors", tests, NULL, NULL);
}
