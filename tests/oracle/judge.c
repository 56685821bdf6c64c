/* tests/oracle/judge.c - policies loaded and compiled, identities folded, rows judged by both sides. */
#include "tests/oracle/judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS_MAX = 256 };

struct compiled {
    const char *role;
    struct policy_table table;
    struct policy_program *program;
};

struct round {
    struct judge *judge;
    struct world *world;
    uint64_t seed;
    uint32_t set;
    PGresult *rows;
    struct policy_facts *facts; /* of all sets of the world: OIDs do not change */
    char visible[ROWS_MAX + 1]; /* '1', '0', 'e' per row */
    struct compiled roles[WORLD_ROLES];
};

static void fields_of(const PGresult *result, int row, const char **fields, int count)
{
    for (int i = 0; i < count; i++) {
        fields[i] = i < PQnfields(result) ? PQgetvalue(result, row, i) : "";
    }
}

/* --- the broker's side ------------------------------------------------------------------------ */

static bool load_facts(struct round *round, struct compiled *c)
{
    struct rt_buf arrays[POLICY_FACTS_PARAMS] = { 0 };
    const char *params[POLICY_FACTS_PARAMS];
    const char *fields[POLICY_FACTS_COLUMNS];
    bool good = true;
    bool wanted = false;

    for (uint32_t i = 0; i < c->table.count; i++) {
        if (c->table.rules[i].rule.qual != NULL) {
            wanted = policy_facts_wanted(round->facts, c->table.rules[i].rule.qual, arrays);
        }
    }
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        params[i] = arrays[i].len > 0 ? rt_buf_cstr(&arrays[i]) : "{}";
    }
    if (wanted) {
        PGresult *result =
            pg_ask(round->judge->conn, policy_facts_sql, POLICY_FACTS_PARAMS, params);
        for (int row = 0; row < PQntuples(result); row++) {
            fields_of(result, row, fields, POLICY_FACTS_COLUMNS);
            policy_facts_add(round->facts, fields);
        }
        good = result != NULL;
        PQclear(result);
    }
    for (size_t i = 0; i < POLICY_FACTS_PARAMS; i++) {
        rt_buf_fini(&arrays[i]);
    }
    return good;
}

static void explain(const struct compiled *c)
{
    printf("-- role %s: %u instructions, %u constants\n", c->role, c->program->count,
           c->program->fold_count);
    for (uint32_t i = 0; i < c->table.count; i++) {
        printf("   %s %s %s\n", c->table.rules[i].rule.name,
               c->table.rules[i].rule.permissive ? "permissive" : "restrictive",
               c->table.rules[i].sql);
    }
    for (uint32_t i = 0; i < c->program->leaf_count; i++) {
        printf("   not compiled: %s: %s\n", c->program->leaves[i].policy,
               c->program->leaves[i].reason);
    }
    for (uint32_t i = 0; i < c->program->fold_count; i++) {
        printf("   constant: %s\n", c->program->folds[i].sql);
    }
}

/* One statement for all roles, as the broker would. */
static bool load_all(struct round *round)
{
    const char *fields[POLICY_LOADER_COLUMNS];
    const char *params[] = {
        "{o,o,o,o,o,o,o,o}", "{t,t,t,t,t,t,t,t}",
        "{o_anon,o_user,o_noinherit,o_deep,o_owner,o_ownmem,o_bypass,o_team}"
    };
    PGresult *result =
        pg_ask(round->judge->conn, policy_loader_sql(), POLICY_LOADER_PARAMS, params);
    bool good = result != NULL;

    for (uint32_t i = 0; i < WORLD_ROLES; i++) {
        round->roles[i] = (struct compiled){ .role = world_roles[i] };
    }
    for (int row = 0; row < PQntuples(result); row++) {
        fields_of(result, row, fields, POLICY_LOADER_COLUMNS);
        uint32_t question = policy_loader_question(fields);
        if (question >= 1 && question <= WORLD_ROLES) {
            policy_table_add(&round->roles[question - 1].table, fields);
        }
    }
    PQclear(result);
    for (uint32_t i = 0; i < WORLD_ROLES && good; i++) {
        struct compiled *c = &round->roles[i];
        good = c->table.known && load_facts(round, c);
        if (good) {
            c->program = policy_table_compile(&c->table, round->facts);
        }
        if (good && round->judge->explain) {
            explain(c);
        }
    }
    return good;
}

static const struct compiled *compiled_for(const struct round *round, const char *role)
{
    uint32_t i = 0;

    while (strcmp(world_roles[i], role) != 0) {
        i++;
    }
    return &round->roles[i];
}

static void unload(struct round *round)
{
    for (uint32_t i = 0; i < WORLD_ROLES; i++) {
        policy_program_free(round->roles[i].program);
        policy_table_fini(&round->roles[i].table);
    }
}

static void fold(struct round *round, const struct compiled *c, const struct identity *identity,
                 struct policy_constants *out)
{
    struct rt_buf sql = { 0 };
    struct policy_setting settings[WORLD_SETTINGS];

    for (size_t i = 0; i < WORLD_SETTINGS; i++) {
        settings[i] = (struct policy_setting){ world_setting_names[i], identity->settings[i] };
    }
    struct policy_identity asked = { .role = identity->role,
                                     .settings = settings,
                                     .setting_count = WORLD_SETTINGS };
    /* In a batch behind another identity's: nothing of that one must be left. */
    struct policy_setting others[WORLD_SETTINGS];
    for (size_t i = 0; i < WORLD_SETTINGS; i++) {
        others[i] = (struct policy_setting){ world_setting_names[i], "{\"k\":\"b\"}" };
    }
    struct policy_identity other = { .role = "o_user",
                                     .settings = others,
                                     .setting_count = WORLD_SETTINGS };
    const struct policy_fold folds[] = { { c->program, &other, "o", "t" },
                                         { c->program, &asked, "o", "t" } };
    struct policy_answers answers;
    policy_fold_sql(&sql, folds, 2);
    PGresult *result = pg_last(round->judge->conn, rt_buf_cstr(&sql));
    const char *text = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";
    if (!policy_answers_read(&answers, text, strlen(text), 2) ||
        !policy_fold_read(out, c->program, answers.texts[1].text, answers.texts[1].len)) {
        fprintf(stderr, "no constants: %s\n%s\n", PQerrorMessage(round->judge->conn),
                rt_buf_cstr(&sql));
        exit(2);
    }
    policy_answers_fini(&answers);
    PQclear(result);
    rt_buf_fini(&sql);
}

/* --- PostgreSQL's side ------------------------------------------------------------------------ */

static void write_settings(struct rt_buf *sql, PGconn *conn, const struct identity *identity)
{
    rt_buf_printf(sql, "BEGIN; SELECT set_config('role', '%s', true)", identity->role);
    for (size_t i = 0; i < WORLD_SETTINGS; i++) {
        char *literal = PQescapeLiteral(conn, identity->settings[i], strlen(identity->settings[i]));
        rt_buf_printf(sql, ", set_config('%s', %s, true)", world_setting_names[i], literal);
        PQfreemem(literal);
    }
    rt_buf_puts(sql, "; ");
}

static bool ask_truth(struct round *round, const struct identity *identity)
{
    PGconn *conn = round->judge->conn;
    uint32_t rows = round->judge->rows;
    struct rt_buf sql = { 0 };

    write_settings(&sql, conn, identity);
    size_t before = sql.len;
    rt_buf_puts(&sql, "SELECT id FROM o.t; COMMIT");
    memset(round->visible, '0', rows);
    PGresult *result = pg_last(conn, rt_buf_cstr(&sql));
    if (result != NULL) {
        for (int i = 0; i < PQntuples(result); i++) {
            round->visible[strtoul(PQgetvalue(result, i, 0), NULL, 10) - 1] = '1';
        }
    } else {
        sql.len = before;
        rt_buf_puts(&sql, "SELECT o.truth(); COMMIT");
        result = pg_last(conn, rt_buf_cstr(&sql));
        if (result != NULL && PQgetlength(result, 0, 0) == (int)rows) {
            memcpy(round->visible, PQgetvalue(result, 0, 0), rows);
        }
    }
    bool good = result != NULL;
    PQclear(result);
    rt_buf_fini(&sql);
    return good;
}

/* --- both ------------------------------------------------------------------------------------- */

static void mismatch(const struct round *round, const struct compiled *c,
                     const struct identity *identity, uint32_t row, uint8_t set, const char *what)
{
    if (round->judge->quiet || round->judge->tally.leaked + round->judge->tally.withheld > 3) {
        return;
    }
    printf("%s: --seed %" PRIu64
           " --worlds 1, set %u, row %u, outcomes %s%s%s%s%s, PostgreSQL says %c\n",
           what, round->seed, round->set, row + 1, set & OUTCOME_TRUE ? "T" : "",
           set & OUTCOME_FALSE ? "F" : "", set & OUTCOME_NULL ? "N" : "",
           set & OUTCOME_ERROR ? "E" : "", set & OUTCOME_MISSING ? "M" : "", round->visible[row]);
    printf("   role %s, claims %s, k '%s', n '%s'\n   row:", identity->role, identity->settings[0],
           identity->settings[1], identity->settings[2]);
    for (int i = 0; i < PQnfields(round->rows); i++) {
        printf(" %s=%s", PQfname(round->rows, i),
               PQgetisnull(round->rows, (int)row, i) ? "NULL"
                                                     : PQgetvalue(round->rows, (int)row, i));
    }
    printf("\n");
    explain(c);
}

static void fill(const struct round *round, uint32_t at, struct policy_row *row)
{
    for (int i = 0; i < PQnfields(round->rows); i++) {
        bool null = PQgetisnull(round->rows, (int)at, i);
        policy_row_set(row, (uint32_t)i + 1, null ? POLICY_CELL_NULL : POLICY_CELL_TEXT,
                       PQgetvalue(round->rows, (int)at, i),
                       (uint32_t)PQgetlength(round->rows, (int)at, i));
    }
}

static enum lane lane_of(const struct policy_program *program, const struct policy_binding *binding,
                         enum policy_answer answer)
{
    bool membership = program->leaf_count > 0;

    for (uint32_t i = 0; i < program->leaf_count; i++) {
        membership = membership && program->leaves[i].kind == POLICY_LEAF_MEMBERSHIP;
    }
    if (binding->refused) {
        return LANE_DENIED;
    }
    if (answer == POLICY_ASK) {
        return membership ? LANE_MEMBERSHIP : LANE_FALLBACK;
    }
    if (program->table_count > 0) {
        return LANE_MEMBERSHIP;
    }
    return program->uses_row ? LANE_COMPILED : LANE_CONSTANT;
}

static bool wrong(struct round *round, const struct compiled *c, const struct identity *identity,
                  uint32_t row, uint8_t set)
{
    enum policy_answer answer = outcome_answer(set);
    bool visible = round->visible[row] == '1';
    /* What is missing may only ever hide. */
    bool excused = (set & OUTCOME_MISSING) != 0 && (set & OUTCOME_TRUE) != 0;

    if (answer == POLICY_DELIVER && !visible) {
        round->judge->tally.leaked++;
        mismatch(round, c, identity, row, set, "LEAKED");
        return true;
    }
    if (answer == POLICY_DENY && visible && !excused && set != OUTCOME_MISSING &&
        (set & OUTCOME_MISSING) == 0) {
        round->judge->tally.withheld++;
        mismatch(round, c, identity, row, set, "WITHHELD");
        return true;
    }
    return false;
}

/* The old row as a key, and a row with a value that was TOASTed: only some columns are known. */
static bool judge_masked(struct round *round, const struct compiled *c,
                         const struct policy_constants *constants, const struct identity *identity,
                         struct policy_row *row, uint32_t at)
{
    enum policy_cell_kind kind =
        prng_chance(&round->world->rng, 50) ? POLICY_CELL_MISSING : POLICY_CELL_UNCHANGED;

    fill(round, at, row);
    for (uint32_t i = 2; i <= round->world->column_count + 1; i++) {
        if (prng_chance(&round->world->rng, 40)) {
            policy_row_set(row, i, kind, "", 0);
        }
    }
    uint8_t set = policy_eval(c->program, &constants->binding, row, (int64_t)time(NULL) * 1000000);
    round->judge->tally.masked++;
    round->judge->tally.masked_denied += (set & OUTCOME_MISSING) != 0;
    return wrong(round, c, identity, at, set);
}

static void count_ops(struct tally *tally, const struct policy_program *program, uint64_t decisions)
{
    size_t count = 0;
    const struct policy_allow_op *ops = policy_allow_ops(&count);

    for (uint32_t i = 0; i < program->op_count; i++) {
        for (size_t j = 0; j < count && j < OPS_MAX; j++) {
            tally->ops[j] += ops[j].oid == program->ops[i] ? decisions : 0;
        }
    }
}

/* Rows to ask PostgreSQL about. */
struct asked {
    size_t count;
    uint32_t rows[ROWS_MAX];
    struct rt_buf images[ROWS_MAX];
};

static void note_asked(struct round *round, struct asked *asked, const struct policy_row *row,
                       uint32_t at)
{
    if (policy_image_write(&asked->images[asked->count], row, round->world->column_count + 1)) {
        (void)rt_buf_cstr(&asked->images[asked->count]);
        asked->rows[asked->count++] = at;
    }
}

/* In both ways, where both are allowed. */
static uint32_t judge_asked(struct round *round, const struct compiled *c,
                            const struct policy_constants *constants,
                            const struct identity *identity, struct asked *asked)
{
    struct policy_verdicts verdicts;
    uint32_t wrongs = 0;

    for (int way = 0; way < 2 && asked->count > 0; way++) {
        bool good = way == 0 ? fallback_ask(round->judge, &c->table, c->program, identity,
                                            asked->images, asked->count, &verdicts)
                             : fallback_ask_set(round->judge, c->program, &constants->binding,
                                                identity->role, asked->images, asked->count,
                                                round->world->column_count + 1, &verdicts);
        for (size_t i = 0; i < asked->count && good; i++) {
            bool yes = verdicts.verdicts[i] == POLICY_VERDICT_YES;
            wrongs += wrong(round, c, identity, asked->rows[i], outcome_of(yes));
        }
        if (good) {
            policy_verdicts_fini(&verdicts);
        }
    }
    for (size_t i = 0; i < asked->count; i++) {
        rt_buf_fini(&asked->images[i]);
    }
    return wrongs;
}

/* What the anchors exclude must not be able to match. */
static bool judge_anchors(struct round *round, const struct compiled *c,
                          const struct identity *identity, const struct policy_anchors *anchors,
                          struct policy_row *row, uint32_t at, uint8_t set)
{
    bool admitted = policy_anchors_admit(anchors, c->program, row);

    round->judge->tally.skipped += !admitted;
    if (admitted || (set & OUTCOME_TRUE) == 0) {
        return false;
    }
    round->judge->tally.withheld++;
    mismatch(round, c, identity, at, set, "WITHHELD by its anchors");
    return true;
}

static bool judge_rows(struct round *round, const struct compiled *c,
                       const struct policy_constants *constants, const struct identity *identity)
{
    struct policy_cell cells[WORLD_COLUMNS_MAX + 1] = { 0 };
    struct policy_row row = { WORLD_COLUMNS_MAX + 1, cells };
    struct tally *tally = &round->judge->tally;
    struct asked *asked = calloc(1, sizeof(*asked));
    struct policy_anchors anchors;
    uint32_t wrongs = 0;
    double began = seconds_now();

    policy_anchors_find(c->program, &constants->binding, &anchors);
    tally->anchored += c->program->uses_row && !anchors.all;
    tally->unanchored += c->program->uses_row && anchors.all;
    for (uint32_t i = 0; i < round->judge->rows; i++) {
        fill(round, i, &row);
        uint8_t set =
            policy_eval(c->program, &constants->binding, &row, (int64_t)time(NULL) * 1000000);
        enum policy_answer answer = outcome_answer(set);
        bool never = answer == POLICY_ASK && c->program->never;
        tally->lanes[never ? LANE_DENIED : lane_of(c->program, &constants->binding, answer)]++;
        tally->visible += round->visible[i] == '1';
        tally->raised += round->visible[i] == 'e';
        tally->system_columns += never;
        if (answer == POLICY_ASK && !never) {
            note_asked(round, asked, &row, i);
        }
        wrongs += answer != POLICY_ASK && wrong(round, c, identity, i, set);
        wrongs += judge_anchors(round, c, identity, &anchors, &row, i, set);
        wrongs += judge_masked(round, c, constants, identity, &row, i);
    }
    tally->eval_seconds += seconds_now() - began;
    wrongs += judge_asked(round, c, constants, identity, asked);
    free(asked);
    tally->decisions += round->judge->rows;
    count_ops(tally, c->program, round->judge->rows);
    return wrongs == 0 || !round->judge->stop_at_first;
}

static bool judge_identity(struct round *round)
{
    struct identity identity = world_identity(round->world);
    struct policy_constants constants;
    double began = seconds_now();
    const struct compiled *c = compiled_for(round, identity.role);

    fold(round, c, &identity, &constants);
    double folded = seconds_now();
    bool good = ask_truth(round, &identity);
    round->judge->tally.fold_seconds += folded - began;
    round->judge->tally.truth_seconds += seconds_now() - folded;
    good = good && judge_rows(round, c, &constants, &identity);
    policy_constants_fini(&constants);
    return good;
}

static bool judge_set(struct round *round, uint32_t identities)
{
    struct rt_buf sql = { 0 };
    bool good = true;

    world_policies(round->world, &sql);
    PGresult *result = PQexec(round->judge->conn, rt_buf_cstr(&sql));
    bool taken = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!taken && round->judge->explain) {
        printf("refused: %s", PQerrorMessage(round->judge->conn));
    }
    PQclear(result);
    round->judge->tally.policies += taken;
    round->judge->tally.refused += !taken;
    if (taken) {
        double began = seconds_now();
        good = load_all(round);
        round->judge->tally.load_seconds += seconds_now() - began;
        for (uint32_t i = 0; i < identities && good; i++) {
            good = judge_identity(round);
        }
        unload(round);
    }
    rt_buf_fini(&sql);
    return good;
}

bool judge_world(struct judge *judge, uint64_t seed, uint32_t sets, uint32_t identities)
{
    struct world world;
    struct rt_buf sql = { 0 };
    struct round round = {
        .judge = judge, .world = &world, .seed = seed, .facts = policy_facts_new()
    };

    world.written = judge->written;
    world_make(&world, seed, judge->rows, &sql);
    bool good = judge->rows <= ROWS_MAX && pg_run(judge->conn, rt_buf_cstr(&sql));
    rt_buf_fini(&sql);
    round.rows = good ? pg_ask(judge->conn, "SELECT * FROM o.t ORDER BY id", 0, NULL) : NULL;
    good = round.rows != NULL && PQntuples(round.rows) == (int)judge->rows;
    for (uint32_t i = 0; i < sets && good; i++) {
        round.set = i;
        good = judge_set(&round, identities);
    }
    PQclear(round.rows);
    policy_facts_free(round.facts);
    judge->tally.worlds++;
    return good;
}
