/* runtime/metrics.c - families by name, each with its series by labels, in the order of registration.
 *
 * Prometheus wants all series of a name together, under one HELP and TYPE; registrations of a name come
 * at different times, so the registry keeps them sorted into families. What an owner holds is the
 * address of a series' value, the first member, from which rt_metric_drop() finds the series.
 *
 * Registering a name and labels twice gives the same metric, counted, so that a peer that comes back
 * before its predecessor is dropped never makes an exposition with a line twice.
 */
#include "runtime/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/map.h"
#include "runtime/metrics_process.h"

enum kind { COUNTER, GAUGE, HISTOGRAM };

static const char *const kind_names[] = {
    [COUNTER] = "counter",
    [GAUGE] = "gauge",
    [HISTOGRAM] = "histogram",
};

static const double duration_bounds[RT_HISTOGRAM_BUCKETS] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
};

struct family;

struct series {
    union {
        struct rt_counter counter;
        struct rt_gauge gauge;
        struct rt_histogram histogram;
    } value; /* first: its address is what the owner holds */
    struct family *family;
    char *labels; /* "" for none */
    unsigned owners;
    struct series *next;
};

struct family {
    char *name;
    char *help;
    enum kind kind;
    struct series *series;
    struct family *next;
};

struct render_hook {
    void (*fn)(void *ctx);
    void *ctx;
    struct render_hook *next;
};

struct rt_metrics {
    struct family *families;
    struct rt_map *by_name; /* the families again */
    struct render_hook *hooks;
};

/* Registration happens at start and with names from our own source: a wrong one is a mistake of ours
 * that the first run shows. */
static void require(bool holds, const char *name)
{
    if (!holds) {
        (void)fprintf(stderr,
                      "fatal: metric %s is not a valid name, or is registered with another kind\n",
                      name);
        abort();
    }
}

static bool is_valid_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789";
    size_t len = strlen(name);
    return len > 0 && strspn(name, allowed) == len && (name[0] < '0' || name[0] > '9');
}

static struct family *find_family(struct rt_metrics *metrics, enum kind kind, const char *name,
                                  const char *help)
{
    struct family *family = rt_map_get(metrics->by_name, name, strlen(name));
    if (family != NULL) {
        require(family->kind == kind, name);
        return family;
    }
    require(is_valid_name(name), name);
    family = rt_alloc(sizeof(*family));
    family->name = rt_strdup(name);
    family->help = rt_strdup(help);
    family->kind = kind;
    struct family **last = &metrics->families;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = family;
    rt_map_put(metrics->by_name, name, strlen(name), family);
    return family;
}

static struct series *find_series(struct rt_metrics *metrics, enum kind kind, const char *name,
                                  const char *labels, const char *help)
{
    struct family *family = find_family(metrics, kind, name, help);
    const char *wanted = labels != NULL ? labels : "";
    struct series **at = &family->series;
    while (*at != NULL && strcmp((*at)->labels, wanted) != 0) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        *at = rt_alloc(sizeof(**at));
        (*at)->family = family;
        (*at)->labels = rt_strdup(wanted);
    }
    (*at)->owners++;
    return *at;
}

static void free_series(struct series *series)
{
    free(series->labels);
    free(series);
}

/* The shortest text that reads back as the same number, so that 0.1 is not 0.10000000000000001. */
static void put_number(struct rt_buf *out, double value)
{
    if (isnan(value)) {
        rt_buf_puts(out, "NaN");
        return;
    }
    if (isinf(value)) {
        rt_buf_puts(out, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        double back = strtod(text, NULL);
        if (!(back < value || back > value)) {
            break;
        }
    }
    rt_buf_puts(out, text);
}

/* name{labels,extra} and a space; `extra` may be NULL. */
static void put_series_name(struct rt_buf *out, const struct series *series, const char *suffix,
                            const char *extra)
{
    rt_buf_printf(out, "%s%s", series->family->name, suffix);
    bool labelled = series->labels[0] != '\0';
    if (labelled || extra != NULL) {
        rt_buf_printf(out, "{%s%s%s}", series->labels, labelled && extra != NULL ? "," : "",
                      extra != NULL ? extra : "");
    }
    rt_buf_putc(out, ' ');
}

static void put_histogram(struct rt_buf *out, const struct series *series)
{
    const struct rt_histogram *histogram = &series->value.histogram;
    uint64_t below = 0;
    for (int i = 0; i <= RT_HISTOGRAM_BUCKETS; i++) {
        char bound[48] = "le=\"+Inf\"";
        if (i < RT_HISTOGRAM_BUCKETS) {
            (void)snprintf(bound, sizeof(bound), "le=\"%g\"", histogram->bounds[i]);
        }
        below += histogram->buckets[i];
        put_series_name(out, series, "_bucket", bound);
        rt_buf_printf(out, "%" PRIu64 "\n", below);
    }
    put_series_name(out, series, "_sum", NULL);
    put_number(out, histogram->sum);
    rt_buf_putc(out, '\n');
    put_series_name(out, series, "_count", NULL);
    rt_buf_printf(out, "%" PRIu64 "\n", histogram->count);
}

static void put_series(struct rt_buf *out, const struct series *series)
{
    switch (series->family->kind) {
    case COUNTER:
        put_series_name(out, series, "", NULL);
        rt_buf_printf(out, "%" PRIu64 "\n", series->value.counter.value);
        break;
    case GAUGE:
        put_series_name(out, series, "", NULL);
        put_number(out, series->value.gauge.value);
        rt_buf_putc(out, '\n');
        break;
    case HISTOGRAM:
        put_histogram(out, series);
        break;
    }
}

/* In help texts a backslash and a line feed are escaped (exposition format 0.0.4). */
static void put_help(struct rt_buf *out, const struct family *family)
{
    rt_buf_printf(out, "# HELP %s ", family->name);
    for (const char *at = family->help; *at != '\0'; at++) {
        if (*at == '\n') {
            rt_buf_puts(out, "\\n");
        } else if (*at == '\\') {
            rt_buf_puts(out, "\\\\");
        } else {
            rt_buf_putc(out, *at);
        }
    }
    rt_buf_printf(out, "\n# TYPE %s %s\n", family->name, kind_names[family->kind]);
}

struct rt_metrics *rt_metrics_new(void)
{
    struct rt_metrics *metrics = rt_alloc(sizeof(*metrics));
    metrics->by_name = rt_map_new();
    return metrics;
}

void rt_metrics_free(struct rt_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    while (metrics->families != NULL) {
        struct family *family = metrics->families;
        metrics->families = family->next;
        while (family->series != NULL) {
            struct series *series = family->series;
            family->series = series->next;
            free_series(series);
        }
        free(family->name);
        free(family->help);
        free(family);
    }
    while (metrics->hooks != NULL) {
        struct render_hook *hook = metrics->hooks;
        metrics->hooks = hook->next;
        free(hook);
    }
    rt_map_free(metrics->by_name);
    free(metrics);
}

struct rt_counter *rt_counter_new(struct rt_metrics *metrics, const char *name, const char *labels,
                                  const char *help)
{
    return &find_series(metrics, COUNTER, name, labels, help)->value.counter;
}

struct rt_gauge *rt_gauge_new(struct rt_metrics *metrics, const char *name, const char *labels,
                              const char *help)
{
    return &find_series(metrics, GAUGE, name, labels, help)->value.gauge;
}

struct rt_histogram *rt_histogram_new(struct rt_metrics *metrics, const char *name,
                                      const char *labels, const char *help)
{
    struct rt_histogram *histogram =
        &find_series(metrics, HISTOGRAM, name, labels, help)->value.histogram;
    histogram->bounds = duration_bounds;
    return histogram;
}

void rt_metric_drop(struct rt_metrics *metrics, void *metric)
{
    for (struct family *family = metrics->families; family != NULL && metric != NULL;
         family = family->next) {
        for (struct series **at = &family->series; *at != NULL; at = &(*at)->next) {
            struct series *series = *at;
            if ((void *)&series->value != metric) {
                continue;
            }
            if (--series->owners == 0) {
                *at = series->next;
                free_series(series);
            }
            return;
        }
    }
}

void rt_metrics_on_render(struct rt_metrics *metrics, void (*fn)(void *ctx), void *ctx)
{
    struct render_hook **last = &metrics->hooks;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = rt_alloc(sizeof(**last));
    (*last)->fn = fn;
    (*last)->ctx = ctx;
}

void rt_histogram_observe(struct rt_histogram *histogram, double seconds)
{
    int i = 0;
    while (i < RT_HISTOGRAM_BUCKETS && !(seconds <= histogram->bounds[i])) {
        i++;
    }
    histogram->buckets[i]++;
    histogram->count++;
    histogram->sum += seconds;
}

void rt_metrics_render(struct rt_metrics *metrics, struct rt_buf *out)
{
    for (const struct render_hook *hook = metrics->hooks; hook != NULL; hook = hook->next) {
        hook->fn(hook->ctx);
    }
    for (const struct family *family = metrics->families; family != NULL; family = family->next) {
        if (family->series == NULL) {
            continue;
        }
        put_help(out, family);
        for (const struct series *series = family->series; series != NULL; series = series->next) {
            put_series(out, series);
        }
    }
    rt_metrics_process_render(out);
}
