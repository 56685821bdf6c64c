/* tests/unit/broker/policy/kit_facts.h - what a catalog would say about everything in trees.h; for unit tests and fuzzing. */
#ifndef PGTIDE_TESTS_POLICY_KIT_FACTS_H
#define PGTIDE_TESTS_POLICY_KIT_FACTS_H

#include "broker/policy/facts.h"
#include "tests/unit/broker/policy/trees.h"

/* What the catalog says about everything in trees.h: row `i`, or NULL. */
static inline const char *const *kit_fact(size_t i)
{
    static const char *const rows[][POLICY_FACTS_COLUMNS] = {
        { "d", "0", "", "", "1", "1", "", "" },
        { "o", "96", "pg_catalog", "=", "65", "", "", "" },
        { "o", "98", "pg_catalog", "=", "67", "", "", "" },
        { "o", "521", "pg_catalog", ">", "147", "", "", "" },
        { "o", "641", "pg_catalog", "~", "1254", "", "", "" },
        { "o", "1209", "pg_catalog", "~~", "850", "", "", "" },
        { "o", "1324", "pg_catalog", ">", "1157", "", "", "" },
        { "o", "1757", "pg_catalog", ">=", "1721", "", "", "" },
        { "o", "2972", "pg_catalog", "=", "2956", "", "", "" },
        { "o", "3477", "pg_catalog", "->>", "3214", "", "", "" },
        { "o", "3518", "pg_catalog", "<", "3514", "", "", "" },
        { "f", "67", "pg_catalog", "texteq", "i", "0010", "", "" },
        { "f", "65", "pg_catalog", "int4eq", "i", "0010", "", "" },
        { "f", "1254", "pg_catalog", "textregexeq", "i", "0010", "", "" },
        { "f", "3214", "pg_catalog", "jsonb_object_field_text", "i", "0010", "", "" },
        { "f", "2077", "pg_catalog", "current_setting", "s", "0010", "", "" },
        { "f", "1299", "pg_catalog", "now", "s", "0011", "", "" },
        { "f", "16385", "auth", "jwt", "s", "0101",
          "select nullif(pg_catalog.current_setting('request.jwt.claims', true), "
          "'')::pg_catalog.jsonb",
          "" },
        { "f", "16386", "auth", "uid", "s", "0101", "select (auth.jwt() ->> 'sub')::uuid", "" },
        { "t", "16", "pg_catalog", "bool", "b", "0", "", "" },
        { "t", "23", "pg_catalog", "int4", "b", "0", "", "" },
        { "t", "25", "pg_catalog", "text", "b", "0", "", "" },
        { "t", "1009", "pg_catalog", "_text", "b", "25", "", "" },
        { "t", "1700", "pg_catalog", "numeric", "b", "0", "", "" },
        { "t", "1184", "pg_catalog", "timestamptz", "b", "0", "", "" },
        { "t", "2950", "pg_catalog", "uuid", "b", "0", "", "" },
        { "t", "3802", "pg_catalog", "jsonb", "b", "0", "", "" },
        { "e", "16388", "", "happy", "16394", "3", "3", "" },
        { "t", "16388", "public", "mood", "e", "0", "", "" },
        { "e", "16388", "", "sad", "16390", "1", "3", "" },
        { "e", "16388", "", "ok", "16392", "2", "3", "" },
        { "r", "16402", "public", "memb", "1", "team_id", "", "" },
        { "r", "16402", "public", "memb", "2", "user_id", "", "" },
        { "f", "2956", "pg_catalog", "uuid_eq", "i", "0010", "", "" },
        { "c", "100", "pg_catalog", "default", "1", "0", "", "" },
    };

    return i < sizeof(rows) / sizeof(rows[0]) ? rows[i] : NULL;
}

static inline struct policy_facts *kit_facts(void)
{
    struct policy_facts *facts = policy_facts_new();

    for (size_t i = 0; kit_fact(i) != NULL; i++) {
        policy_facts_add(facts, kit_fact(i));
    }
    return facts;
}

#endif
