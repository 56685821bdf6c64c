/* runtime/config_internal.h - what the files of the configuration share; nobody else includes it.
 *
 *   config_value.c   texts to values and back, by kind
 *   config_source.c  one value arriving from somewhere: --set, an environment variable, a file's content
 *   config_file.c    the YAML file
 *   config_check.c   rules between options
 *   config_reload.c  the same sources once more, into a configuration in force
 *   config_help.c    --help, --print-config, docs/configuration.md
 *   config.c         precedence, and the struct
 *
 * A load goes through the sources from the weakest to the strongest; every value is checked where it
 * arrives, also one that a stronger source replaces, so that a file's mistake is not hidden by the
 * environment of one host. Every problem is one line in `errors`, and none stops the search for more.
 */
#ifndef PGTIDE_RUNTIME_CONFIG_INTERNAL_H
#define PGTIDE_RUNTIME_CONFIG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"
#include "runtime/config.h"

enum rt_option_kind {
    RT_OPTION_text,
    RT_OPTION_bool,
    RT_OPTION_int,
    RT_OPTION_size,
    RT_OPTION_time
};

/* What a changed value needs: SIGHUP, or another process. */
enum rt_option_change { RT_CHANGE_restart, RT_CHANGE_reload };

/* One line of options.def. */
struct rt_option {
    enum rt_option_kind kind;
    bool secret;
    enum rt_option_change change;
    const char *path;
    size_t offset; /* of its field in struct rt_config */
    const char *def;
    int64_t min;
    int64_t max;
    const char *env; /* its other environment name, or NULL */
    const char *help;
};

/* The options, ended by one whose path is NULL. */
extern const struct rt_option rt_options[];
size_t rt_option_count(void);
/* The option with this path (len bytes), or NULL. */
const struct rt_option *rt_option_find(const char *path, size_t len);
/* Whether some option's path starts with `group` and a dot. */
bool rt_option_is_group(const char *group, size_t len);
/* PGTIDE_REALTIME_HEARTBEAT_INTERVAL; the caller's. */
char *rt_option_variable(const struct rt_option *option);
const char *rt_option_kind_name(enum rt_option_kind kind);

/* A configuration while it is being read. */
struct rt_config_load {
    struct rt_config *config;
    char **
        origins; /* by option: "pgtide.yml:12", "environment variable JWT_KEY"; NULL: the default */
    struct rt_buf *errors;
    size_t problems;
};

/* Adds one line to the errors: "ORIGIN: PATH: text" (PATH may be NULL). */
void rt_config_problem(struct rt_config_load *load, const char *origin, const char *path,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Parses and stores `len` bytes of text as the option's value, or adds a problem. Never shows a secret. */
void rt_config_assign(struct rt_config_load *load, const struct rt_option *option,
                      const char *origin, const char *text, size_t len);
/* Where the option's value came from. */
const char *rt_config_origin(const struct rt_config_load *load, const struct rt_option *option);

/* Parses a value of the kind; false when it is none. Any other error is the caller's (range). */
bool rt_value_parse_bool(const char *text, bool *out);
bool rt_value_parse_number(enum rt_option_kind kind, const char *text, int64_t *out);
/* Appends a number of the kind in its shortest exact form: 30s, 64KiB, 17. */
void rt_value_print(enum rt_option_kind kind, int64_t value, struct rt_buf *out);
/* What the kind accepts, for messages. */
const char *rt_value_examples(enum rt_option_kind kind);

/* Appends "; did you mean X?" with the candidate nearest to `word`, if one is near. */
struct rt_suggestion {
    const char *word;
    size_t len;
    size_t best; /* edit distance of `nearest` */
    char nearest[128];
};
struct rt_suggestion rt_suggestion_begin(const char *word, size_t len);
void rt_suggestion_offer(struct rt_suggestion *suggestion, const char *candidate);
/* "" or "; did you mean \"nearest\"?" */
void rt_suggestion_text(const struct rt_suggestion *suggestion, char out[160]);

/* A YAML document; `name` is how messages call it. */
void rt_config_read_file(struct rt_config_load *load, const char *name, struct rt_span text);
/* PGTIDE_… and the other names, from "NAME=value" texts ended by NULL. */
void rt_config_read_env(struct rt_config_load *load, const char *const *env);
/* "path=value" texts ended by NULL. */
void rt_config_read_sets(struct rt_config_load *load, const char *const *sets);
/* Rules that concern several options, or the form of a text. */
void rt_config_check(struct rt_config_load *load);

/* The value of a variable in `env`, or NULL when it is missing or empty. */
const char *rt_env_find(const char *const *env, const char *name);
/* Reads a file of at most `max` bytes; false with `reason` (a static text) on failure. */
bool rt_read_whole_file(const char *path, size_t max, struct rt_buf *out, const char **reason);

/* All of rt_config_load() but where its inputs come from. file_name NULL: no file. */
struct rt_config_inputs {
    const char *file_name;
    struct rt_span file_text;
    const char *const *env;
    const char *const *sets;
};
struct rt_config *rt_config_build(const struct rt_config_inputs *inputs, struct rt_buf *errors);
/* All of rt_config_reload() but reading `fresh`, which is used up. */
bool rt_config_apply(struct rt_config *live, struct rt_config *fresh,
                     struct rt_config_changes *changes, struct rt_buf *errors);

#endif
