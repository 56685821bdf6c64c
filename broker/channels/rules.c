/* broker/channels/rules.c - see rules.h. */
#include "broker/channels/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/buf.h"
#include "runtime/json.h"

enum { ACTS = 2, PARTS_MAX = 64 };

enum kind { ANYONE, AUTHENTICATED, ROLE, CLAIM, NOBODY };

struct condition {
    enum kind kind;
    char *name; /* of the role or claim */
    unsigned part;
};

struct rule {
    char *prefix;
    struct condition who[ACTS];
};

struct rules {
    struct rule *items;
    size_t count;
};

static const char *const act_names[ACTS] = { "join", "send" };
static const char service_role[] = "service_role";

/* --- reading --------------------------------------------------------------------------------------------- */

static bool parse_claim(char *text, struct condition *out)
{
    char *equals = strrchr(text, '=');
    char *end = NULL;

    if (equals == NULL || equals == text || equals[1] < '0' || equals[1] > '9') {
        return false;
    }
    unsigned long part = strtoul(equals + 1, &end, 10);
    if (*end != '\0' || part >= PARTS_MAX) {
        return false;
    }
    *equals = '\0';
    out->kind = CLAIM;
    out->name = rt_strdup(text);
    out->part = (unsigned)part;
    return true;
}

static bool parse_who(char *text, struct condition *out)
{
    if (strcmp(text, "anyone") == 0 || strcmp(text, "anonymous") == 0) {
        out->kind = ANYONE;
    } else if (strcmp(text, "authenticated") == 0) {
        out->kind = AUTHENTICATED;
    } else if (strcmp(text, "nobody") == 0) {
        out->kind = NOBODY;
    } else if (strncmp(text, "role:", 5) == 0 && text[5] != '\0') {
        out->kind = ROLE;
        out->name = rt_strdup(text + 5);
    } else if (strncmp(text, "claim:", 6) == 0) {
        return parse_claim(text + 6, out);
    } else {
        return false;
    }
    return true;
}

static bool parse_word(char *word, struct rule *rule)
{
    for (int act = 0; act < ACTS; act++) {
        size_t len = strlen(act_names[act]);
        if (strncmp(word, act_names[act], len) == 0 && word[len] == '=' &&
            rule->who[act].name == NULL) {
            return parse_who(word + len + 1, &rule->who[act]);
        }
    }
    return false;
}

static bool is_channel_prefix(const char *text)
{
    return strncmp(text, "broadcast:", 10) == 0 || strncmp(text, "presence:", 9) == 0;
}

/* One rule, without its semicolon. */
static bool parse_rule(struct rules *rules, char *text, char *why, size_t why_size)
{
    char *save = NULL;
    char *word = strtok_r(text, " \t\r\n", &save);

    if (word == NULL) {
        return true;
    }
    if (!is_channel_prefix(word)) {
        (void)snprintf(why, why_size, "a rule begins with broadcast: or presence:, not with \"%s\"",
                       word);
        return false;
    }
    rules->items = rt_realloc(rules->items, rules->count + 1, sizeof(struct rule));
    struct rule *rule = &rules->items[rules->count++];
    *rule = (struct rule){ .prefix = rt_strdup(word),
                           .who = { { .kind = AUTHENTICATED }, { .kind = AUTHENTICATED } } };
    while ((word = strtok_r(NULL, " \t\r\n", &save)) != NULL) {
        char shown[80];
        (void)snprintf(shown, sizeof(shown), "%s", word);
        if (!parse_word(word, rule)) {
            (void)snprintf(why, why_size,
                           "\"%s\" of rule %s: write join= or send= and anyone, authenticated, "
                           "role:NAME, claim:NAME=N or nobody",
                           shown, rule->prefix);
            return false;
        }
    }
    return true;
}

struct rules *rules_parse(const char *text, char *why, size_t why_size)
{
    struct rules *rules = rt_alloc(sizeof(*rules));
    char *copy = rt_strdup(text);
    char *at = copy;
    bool good = true;

    while (good && at != NULL) {
        char *end = strchr(at, ';');
        if (end != NULL) {
            *end++ = '\0';
        }
        good = parse_rule(rules, at, why, why_size);
        at = end;
    }
    free(copy);
    if (!good) {
        rules_free(rules);
        return NULL;
    }
    return rules;
}

void rules_free(struct rules *rules)
{
    if (rules == NULL) {
        return;
    }
    for (size_t i = 0; i < rules->count; i++) {
        free(rules->items[i].prefix);
        for (int act = 0; act < ACTS; act++) {
            free(rules->items[i].who[act].name);
        }
    }
    free(rules->items);
    free(rules);
}

/* --- judging --------------------------------------------------------------------------------------------- */

static struct rt_span bytes_of(struct wire_span text)
{
    return (struct rt_span){ (const uint8_t *)text.data, text.len };
}

static const struct rule *rule_for(const struct rules *rules, struct wire_span channel)
{
    const struct rule *best = NULL;

    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->items[i];
        size_t len = strlen(rule->prefix);
        if (len <= channel.len && memcmp(rule->prefix, channel.data, len) == 0 &&
            (best == NULL || len > strlen(best->prefix))) {
            best = rule;
        }
    }
    return best;
}

/* The n-th part of a channel; false: it has fewer. */
static bool part_of(struct wire_span channel, unsigned n, struct wire_span *out)
{
    const char *at = channel.data;
    const char *end = channel.data + channel.len;

    for (;;) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        if (n == 0) {
            *out = (struct wire_span){ at, (size_t)((colon != NULL ? colon : end) - at) };
            return out->len > 0;
        }
        if (colon == NULL) {
            return false;
        }
        at = colon + 1;
        n--;
    }
}

static bool claim_fits(const struct condition *condition, struct wire_span channel,
                       const struct rules_who *who)
{
    struct wire_span part;
    struct rt_span value;

    return part_of(channel, condition->part, &part) &&
           rt_json_member(bytes_of(who->claims), condition->name, &value) &&
           rt_json_is(value, bytes_of(part));
}

static void explain(const struct condition *condition, char *out, size_t size)
{
    if (condition->kind == ROLE) {
        (void)snprintf(out, size, "role %s", condition->name);
    } else if (condition->kind == CLAIM) {
        (void)snprintf(out, size, "a token whose claim %s is part %u of the channel",
                       condition->name, condition->part);
    } else {
        (void)snprintf(out, size, "%s", condition->kind == NOBODY ? "nobody" : "a token");
    }
}

bool rules_allow(const struct rules *rules, enum rules_act act, struct wire_span channel,
                 const struct rules_who *who, char *why, size_t why_size)
{
    static const struct condition by_default = { .kind = AUTHENTICATED };
    const struct rule *rule = rule_for(rules, channel);
    const struct condition *condition = rule != NULL ? &rule->who[act] : &by_default;
    bool allowed =
        condition->kind == ANYONE || (who->authenticated && strcmp(who->role, service_role) == 0);
    char wanted[160];

    if (!allowed && condition->kind == AUTHENTICATED) {
        allowed = who->authenticated;
    } else if (!allowed && condition->kind == ROLE) {
        allowed = strcmp(who->role, condition->name) == 0;
    } else if (!allowed && condition->kind == CLAIM) {
        allowed = claim_fits(condition, channel, who);
    }
    if (!allowed) {
        explain(condition, wanted, sizeof(wanted));
        (void)snprintf(why, why_size, "not allowed to %s this channel: rule \"%.120s\" asks for %s",
                       act == RULES_JOIN ? "join" : "send to",
                       rule != NULL ? rule->prefix : "default", wanted);
    }
    return allowed;
}
