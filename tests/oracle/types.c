/* tests/oracle/types.c - types, and values of them that are easily got wrong. */
#include <string.h>

#include "tests/oracle/world.h"

#define VALUES(name, ...) static const char *const name[] = { __VA_ARGS__, NULL }

VALUES(bools, "true", "false");
VALUES(int2s, "0", "1", "-1", "2", "3", "7", "42", "32767", "-32768");
VALUES(int4s, "0", "1", "-1", "2", "3", "7", "42", "2147483647", "-2147483648");
VALUES(int8s, "0", "1", "-1", "2", "3", "7", "9223372036854775807", "-9223372036854775808",
       "2147483648");
VALUES(oids, "0", "1", "3", "42", "4294967295", "2147483648");
VALUES(float4s, "0", "-0", "1", "1.5", "0.1", "NaN", "Infinity", "-Infinity", "16777216", "3e-30");
VALUES(float8s, "0", "-0", "1", "1.5", "0.1", "NaN", "Infinity", "-Infinity", "1e300", "-3e-300",
       "0.30000000000000004");
VALUES(numerics, "0", "0.00", "1", "1.0", "1.00", "-1", "-1.0", "10", "9", "9.99", "NaN",
       "Infinity", "-Infinity", "123456789012345678901234567890.5", "0.0001", "0.00010", "-0.5",
       "3");
VALUES(texts, "", "a", "b", "A", "B", "ab", "a b", "NULL", "null", "a%", "a_b", "a\\", "\\a",
       "\xc3\xa4", "\xe6\x97\xa5\xe6\x9c\xac", "it''s", "{a,b}", "1", "3", "42", "t", "true", "f",
       "false", "happy", "11111111-1111-1111-1111-111111111111", "0", "1.0", "Z", "_", "z");
VALUES(names, "a", "b", "A", "ab", "", "o_user", "o_anon", "\xc3\xa4");
VALUES(chars, "a", "b", "A", "t", "");
VALUES(uuids, "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222",
       "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "00000000-0000-0000-0000-000000000000");
VALUES(byteas, "\\x", "\\x00", "\\x0aff", "\\x0a", "\\xff");
VALUES(dates, "2024-02-29", "1999-12-31", "infinity", "-infinity", "0044-03-15 BC", "5874897-12-31",
       "1970-01-01", "2024-03-01");
VALUES(times, "00:00:00", "23:59:59.999999", "12:00:00", "12:00:00.5", "12:00:00.45", "24:00:00");
VALUES(stamps, "2024-02-29 12:00:00", "2024-02-29 12:00:00.5", "1999-12-31 23:59:59.999999",
       "infinity", "-infinity", "0044-03-15 00:00:00 BC", "12024-01-01 00:00:00",
       "2000-01-01 00:00:00");
VALUES(stamptzs, "2024-02-29 12:00:00+00", "2024-02-29 14:00:00+02",
       "1999-12-31 23:59:59.999999+00", "infinity", "-infinity", "0044-03-15 00:00:00+00 BC",
       "2999-01-01 00:00:00+00");
VALUES(macs, "08:00:2b:01:02:03", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff");
VALUES(macs8, "08:00:2b:01:02:03:04:05", "00:00:00:00:00:00:00:00");
VALUES(inets, "10.0.0.1", "10.0.0.1/8", "::1", "10.0.0.0/24", "10.0.0.2");
VALUES(moods, "sad", "meh", "ok", "happy", "A", "zzz");
VALUES(text_arrays, "{}", "{a}", "{a,b}", "{NULL}", "{a,NULL}", "{\"NULL\",\"it''s\"}",
       "{\"a,b\",\"\\\\\\\\\"}", "{{a,b},{A,z}}", "{\"\"}", "[2:3]={a,ab}");
VALUES(int4_arrays, "{}", "{1}", "{1,2,3}", "{NULL}", "{3,NULL}", "{{1,2},{7,42}}",
       "{-1,2147483647}");
VALUES(uuid_arrays, "{}", "{11111111-1111-1111-1111-111111111111}",
       "{22222222-2222-2222-2222-222222222222,NULL}");
VALUES(mood_arrays, "{}", "{sad,ok}", "{happy,NULL}", "{A}");
VALUES(numeric_arrays, "{}", "{1.0,NaN}", "{0.00,NULL}", "{10,9}");
VALUES(jsonbs, "{}", "{\"a\":1}", "{\"a\":\"b\",\"owner\":\"a\"}", "[1,2]", "null", "\"a\"");
VALUES(intervals, "1 day", "24 hours", "1 month", "30 days");
VALUES(bpchars, "a", "a ", "b", "");
VALUES(domains, "a", "b", "");

const struct type world_types[] = {
    { "bool", FAMILY_BOOL, NULL, bools },
    { "int2", FAMILY_NUMBER, NULL, int2s },
    { "int4", FAMILY_NUMBER, NULL, int4s },
    { "int8", FAMILY_NUMBER, NULL, int8s },
    { "oid", FAMILY_OTHER, NULL, oids },
    { "float4", FAMILY_NUMBER, NULL, float4s },
    { "float8", FAMILY_NUMBER, NULL, float8s },
    { "numeric", FAMILY_NUMBER, NULL, numerics },
    { "text", FAMILY_TEXT, NULL, texts },
    { "varchar(40)", FAMILY_TEXT, NULL, texts },
    { "name", FAMILY_TEXT, NULL, names },
    { "\"char\"", FAMILY_EQUAL, NULL, chars },
    { "uuid", FAMILY_OTHER, NULL, uuids },
    { "bytea", FAMILY_OTHER, NULL, byteas },
    { "date", FAMILY_OTHER, NULL, dates },
    { "time", FAMILY_OTHER, NULL, times },
    { "timestamp", FAMILY_OTHER, NULL, stamps },
    { "timestamptz", FAMILY_OTHER, NULL, stamptzs },
    { "macaddr", FAMILY_OTHER, NULL, macs },
    { "macaddr8", FAMILY_OTHER, NULL, macs8 },
    { "inet", FAMILY_EQUAL, NULL, inets },
    { "o.mood", FAMILY_OTHER, NULL, moods },
    { "text[]", FAMILY_ARRAY, "text", text_arrays },
    { "int4[]", FAMILY_ARRAY, "int4", int4_arrays },
    { "uuid[]", FAMILY_ARRAY, "uuid", uuid_arrays },
    { "o.mood[]", FAMILY_ARRAY, "o.mood", mood_arrays },
    { "numeric[]", FAMILY_ARRAY, "numeric", numeric_arrays },
    { "jsonb", FAMILY_FOREIGN, NULL, jsonbs },
    { "interval", FAMILY_FOREIGN, NULL, intervals },
    { "char(4)", FAMILY_FOREIGN, NULL, bpchars },
    { "o.short", FAMILY_FOREIGN, NULL, domains },
};
const uint32_t world_type_count = sizeof(world_types) / sizeof(world_types[0]);

const struct type *world_type_named(const char *name)
{
    for (uint32_t i = 0; i < world_type_count; i++) {
        if (strcmp(world_types[i].name, name) == 0) {
            return &world_types[i];
        }
    }
    return NULL;
}
