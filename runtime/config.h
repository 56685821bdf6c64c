/* runtime/config.h - the configuration of every tier: one YAML file, environment overrides, defaults.
 *
 * runtime/options.def is the single list of options: path, field, kind, default, range, environment
 * names and help. The struct, the YAML reader, the overrides, --help, --print-config and
 * docs/configuration.md are all made from it.
 *
 * Precedence: --set path=value, then PGTIDE_<PATH with _> (e.g. PGTIDE_REALTIME_HEARTBEAT_INTERVAL), then the option's other
 * environment name (JWT_KEY, DATABASE_URL), then the file, then the default. Any environment name with _FILE
 * appended reads the value from that file (for secrets). An empty variable counts as unset, and an unknown one that
 * starts with PGTIDE_ is refused (PGTIDE_CONFIG names the file; PGTIDE_URL, PGTIDE_TOKEN, PGTIDE_RUN_* and PGTIDE_TEST_*
 * are left to scripts).
 *
 * Durations: 500ms, 30s, 2m, 1h, 2d, 1m30s, 0. Sizes: 4096, 64KiB, 1MiB, 1GiB. An unknown key, a wrong type or a
 * value out of range is refused, naming file and line (or the variable), the key, and what is allowed; with a near
 * miss the nearest key is suggested.
 *
 * One thread. A running process reads the sources again at SIGHUP (runtime/process.h): values change between two
 * turns of its loop, never within one.
 */
#ifndef PGTIDE_RUNTIME_CONFIG_H
#define PGTIDE_RUNTIME_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/buf.h"
#include "runtime/clock.h"

/* Text: NUL-terminated, "" when empty, owned by the config. List: comma-separated in the environment, a YAML
 * sequence in the file; kept as one comma-separated text. */
typedef char *rt_config_text;
typedef bool rt_config_bool;
typedef int64_t rt_config_int;
typedef int64_t rt_config_size; /* bytes */
typedef rt_usec rt_config_time; /* microseconds */

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order of the documentation, one for a process */
struct rt_config {
#define RT_OPTION(kind, field, path, def, min, max, env, secret, change, help)                     \
    rt_config_##kind field;
#include "runtime/options.def"
#undef RT_OPTION
    rt_config_text
        *retired; /* texts that reloads have replaced; somebody may still point at them */
    size_t retired_count;
};

/* Reads the file (NULL: the one that PGTIDE_CONFIG names, or none), the environment and `sets` (NULL-terminated "path=value" texts, or NULL).
 * NULL on failure, with every problem found appended to `errors`, one line each. */
struct rt_config *rt_config_load(const char *file, const char *const *sets, struct rt_buf *errors);
void rt_config_free(struct rt_config *config);

/* Reads everything again and changes `live` in place, for the options that may change at run time. Lists of paths
 * say what was done. False: something is wrong (see `errors`), and nothing has changed. A text that is replaced stays
 * valid until `live` is freed; after 256 of them (no honest use gets there) texts need a restart too. */
struct rt_config_changes {
    struct rt_buf reloaded;      /* "log.level,auth.leeway": in force now */
    struct rt_buf needs_restart; /* differ from what is in force, and stay as they were */
};
bool rt_config_reload(struct rt_config *live, const char *file, const char *const *sets,
                      struct rt_config_changes *changes, struct rt_buf *errors);
/* All options in force as YAML; secrets as "********". */
void rt_config_print(const struct rt_config *config, struct rt_buf *out);
/* The options as a table for --help, or as Markdown for docs/configuration.md. */
void rt_config_help(struct rt_buf *out);
void rt_config_markdown(struct rt_buf *out);
/* Replaces every {shard} in `template`; the result is the caller's. */
char *rt_config_shard_address(const char *template_text, int64_t shard);

#endif
