/* tests/oracle/oracle.c - the broker's decisions against row-level security itself, on random tables, policies, identities and
 * rows. See run.mjs for how it is started.
 *
 *   oracle --conninfo TEXT --setup       makes roles, types and functions; once, before the others
 *   oracle --conninfo TEXT [--seed N] [--decisions N | --worlds N] [--rows N] [--explain]
 *   oracle --conninfo TEXT --bugs        every planted bug must be caught: the test of this test
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oracle/judge.h"

enum { SETS = 12, IDENTITIES = 10, ROWS = 96, BUG_WORLDS = 60 };

struct arguments {
    const char *conninfo;
    const char *bug;
    uint64_t seed;
    uint64_t decisions;
    uint64_t worlds;
    uint32_t rows;
    bool bugs;
    bool explain;
    bool setup;
};

static const char *const lane_names[LANE_COUNT] = { "constant", "compiled", "membership",
                                                    "fallback", "denied" };
static const char *const fault_names[POLICY_FAULT_COUNT] = {
#define NAME(name, text) text,
    POLICY_FAULTS(NAME)
#undef NAME
};

static uint64_t number(const char *text)
{
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static bool read_flag(const char *text, struct arguments *out)
{
    bool *flag = strcmp(text, "--bugs") == 0      ? &out->bugs
                 : strcmp(text, "--explain") == 0 ? &out->explain
                 : strcmp(text, "--setup") == 0   ? &out->setup
                                                  : NULL;

    if (flag != NULL) {
        *flag = true;
    }
    return flag != NULL;
}

static bool read_arguments(int argc, char **argv, struct arguments *out)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool flag = read_flag(argv[i], out);
        if (flag) {
            continue;
        }
        if (strcmp(argv[i], "--conninfo") == 0) {
            out->conninfo = value;
        } else if (strcmp(argv[i], "--bug") == 0) {
            out->bug = value;
        } else if (strcmp(argv[i], "--seed") == 0) {
            out->seed = number(value);
        } else if (strcmp(argv[i], "--decisions") == 0) {
            out->decisions = number(value);
        } else if (strcmp(argv[i], "--worlds") == 0) {
            out->worlds = number(value);
        } else if (strcmp(argv[i], "--rows") == 0) {
            out->rows = (uint32_t)number(value);
        } else {
            return false;
        }
        i++;
    }
    return out->conninfo != NULL && out->rows > 0;
}

static void print_coverage(const struct tally *tally)
{
    size_t count = 0;
    size_t covered = 0;
    uint64_t least = UINT64_MAX;
    const struct policy_allow_op *ops = policy_allow_ops(&count);

    printf("operators not seen:");
    for (size_t i = 0; i < count && i < OPS_MAX; i++) {
        covered += tally->ops[i] > 0;
        if (tally->ops[i] == 0) {
            printf(" %u", ops[i].oid);
        } else if (tally->ops[i] < least) {
            least = tally->ops[i];
        }
    }
    printf("\ncoverage: %zu of %zu operators, the least used one in %" PRIu64 " decisions\n",
           covered, count, covered > 0 ? least : 0);
}

static void print(const struct tally *tally, uint64_t seed)
{
    uint64_t all = tally->decisions > 0 ? tally->decisions : 1;

    printf("seed %" PRIu64 ": %" PRIu64 " decisions, leaked %" PRIu64 ", withheld %" PRIu64
           "; %" PRIu64 " worlds, %" PRIu64 " sets of policies (%" PRIu64
           " more refused by PostgreSQL)\n",
           seed, tally->decisions, tally->leaked, tally->withheld, tally->worlds, tally->policies,
           tally->refused);
    printf("visible %.1f %%, raised %.1f %%; with missing columns %" PRIu64
           " decisions, %.1f %% undecided\n",
           100.0 * (double)tally->visible / (double)all,
           100.0 * (double)tally->raised / (double)all, tally->masked,
           100.0 * (double)tally->masked_denied / (double)(tally->masked > 0 ? tally->masked : 1));
    printf("lanes:");
    for (int i = 0; i < LANE_COUNT; i++) {
        printf(" %s %.2f %%", lane_names[i], 100.0 * (double)tally->lanes[i] / (double)all);
    }
    printf("\nfor many identities at once: %" PRIu64 " statements, %" PRIu64 " more raised",
           tally->sets, tally->sets_raised);
    printf("\nanchors: for %.1f %% of programs and identities; %.1f %% of decisions need no look",
           100.0 * (double)tally->anchored /
               (double)(tally->anchored + tally->unanchored > 0
                            ? tally->anchored + tally->unanchored
                            : 1),
           100.0 * (double)tally->skipped / (double)all);
    printf("\nseconds: evaluation %.1f, truth %.1f, loading %.1f, folding %.1f, fallback %.1f\n",
           tally->eval_seconds, tally->truth_seconds, tally->load_seconds, tally->fold_seconds,
           tally->fallback_seconds);
    print_coverage(tally);
}

static int run(struct judge *judge, const struct arguments *arguments)
{
    uint64_t seed = arguments->seed;

    while (arguments->worlds > 0 ? judge->tally.worlds < arguments->worlds
                                 : judge->tally.decisions < arguments->decisions) {
        if (!judge_world(judge, seed, SETS, IDENTITIES)) {
            return 2;
        }
        seed++;
        if (judge->tally.leaked + judge->tally.withheld > 20) {
            break;
        }
    }
    print(&judge->tally, arguments->seed);
    return judge->tally.leaked + judge->tally.withheld == 0 ? 0 : 1;
}

/* Until the first mismatch: that is what catching means. */
static bool caught(struct judge *judge, const struct arguments *arguments, enum policy_fault fault)
{
    policy_fault_active = fault;
    judge->tally = (struct tally){ 0 };
    judge->stop_at_first = true;
    judge->quiet = true;
    judge->written = 15; /* they were written with these bugs in mind */
    for (uint64_t i = 0; i < BUG_WORLDS; i++) {
        bool went_on = judge_world(judge, arguments->seed + i, SETS, IDENTITIES);
        if (judge->tally.leaked + judge->tally.withheld > 0) {
            printf("caught %s after %" PRIu64 " decisions (%s)\n", fault_names[fault],
                   judge->tally.decisions, judge->tally.leaked > 0 ? "leaked" : "withheld");
            return true;
        }
        if (!went_on) {
            return false;
        }
    }
    printf("NOT CAUGHT: %s in %" PRIu64 " decisions\n", fault_names[fault], judge->tally.decisions);
    return false;
}

static int run_bugs(struct judge *judge, const struct arguments *arguments)
{
    int missed = 0;

    for (int i = POLICY_FAULT_NONE + 1; i < POLICY_FAULT_COUNT; i++) {
        if (arguments->bug == NULL || strcmp(arguments->bug, fault_names[i]) == 0) {
            missed += !caught(judge, arguments, (enum policy_fault)i);
        }
    }
    return missed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct arguments arguments = { .seed = 1, .decisions = 100000, .rows = ROWS };

    if (!read_arguments(argc, argv, &arguments)) {
        fprintf(stderr, "oracle: see the head of tests/oracle/oracle.c\n");
        return 2;
    }
    struct judge judge = { .rows = arguments.rows, .explain = arguments.explain };
    judge.conn = PQconnectdb(arguments.conninfo);
    int status = 2;
    if (PQstatus(judge.conn) != CONNECTION_OK || !judge_setup(&judge, arguments.setup)) {
        fprintf(stderr, "oracle: %s", PQerrorMessage(judge.conn));
    } else if (arguments.setup) {
        status = 0;
    } else if (arguments.bugs || arguments.bug != NULL) {
        status = run_bugs(&judge, &arguments);
    } else {
        status = run(&judge, &arguments);
    }
    PQfinish(judge.conn);
    return status;
}
