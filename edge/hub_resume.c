/* edge/hub_resume.c - how subscriptions get over the loss of a shard, of a link, or of their place in the stream.
 *
 * Everything of the shard is announced again, each upward subscription with the earliest position among its members; who
 * is further leaves out what comes again. A shard that cannot go on from there says so (gone). Then who asked for that position
 * hears that it is gone; who was in force before goes on from now, and hears of a gap.
 */
#include <inttypes.h>
#include <stdio.h>

#include "edge/hub_parts.h"
#include "runtime/log.h"
#include "runtime/process.h"

static const rt_usec TRUST_AGAIN = 60 * RT_SEC;

static const char *const gap_reasons[] = {
    [HUB_NOT_GONE] = "the server that holds this channel went on from a later position",
    [HUB_GONE_EPOCH] = "the database has another history now",
    [HUB_GONE_TOO_OLD] = "changes since then are not kept any more, or one could not be judged",
    [HUB_GONE_AHEAD] = "the database has gone back to an earlier position",
    [HUB_GONE_SNAPSHOT] = "the snapshot was interrupted and cannot be gone on with",
    [HUB_GONE_FAULT] = "a change could not be read",
};

void hub_sub_tell_gap(struct hub_sub *sub, const struct wire_position *position)
{
    struct hub_gap gap = {
        .after = sub->after,
        .position = *position,
        .reason = gap_reasons[sub->gone],
    };

    rt_counter_add(sub->client->hub->metrics.gaps, 1);
    sub->client->ops->on_gap(sub->client->session, sub->user, &gap);
}

bool hub_up_since(const struct hub_up *up, struct wire_position *out)
{
    bool any = false;

    LIST_EACH(at, after, &up->subs)
    {
        const struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_up);
        if (sub->heir_of != NULL || (!sub->acked && !sub->asked)) {
            continue; /* content with what is to come */
        }
        if (!sub->has_after || sub->gone != HUB_NOT_GONE ||
            (any && sub->after.epoch != out->epoch)) {
            return false;
        }
        if (!any || wire_position_cmp(&sub->after, out) < 0) {
            *out = sub->after;
        }
        any = true;
    }
    return any;
}

static void interrupt(struct hub_up *up)
{
    LIST_EACH(at, after, &up->subs)
    {
        hub_sub_interrupt(LIST_ELEMENT(at, struct hub_sub, in_up));
    }
    hub_group_assign(up, NULL);
}

/* --- gone ---------------------------------------------------------------------------------------------------- */

static struct hub_sub *one_that_asked(const struct hub_up *up)
{
    LIST_EACH(at, after, &up->subs)
    {
        struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_up);
        if (sub->asked || (sub->rows != NULL && !sub->acked)) {
            return sub;
        }
    }
    return NULL;
}

void hub_up_gone(struct hub_shard *shard, const struct wire_gone *gone)
{
    struct hub_up *up = rt_map_get_u64(shard->by_number, gone->sub);
    struct hub_sub *asked = NULL;

    if (up == NULL) {
        return;
    }
    rt_log_info(shard->hub->process->log, "shard.gone", RT_U("shard", shard->index),
                RT_U("reason", gone->reason));
    hub_up_forget_number(up);
    interrupt(up);
    LIST_EACH(at, after, &up->subs)
    {
        struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_up);
        /* A snapshot that got on before may do so again; one that did not would ask for ever. */
        if (sub->interrupted && (sub->rows == NULL || !hub_rows_progressed(sub->rows))) {
            hub_sub_give_up(sub, (enum hub_gone_why)gone->reason);
        }
    }
    while ((asked = one_that_asked(up)) != NULL) {
        bool only = up->subs.next->next == &up->subs;
        hub_sub_gone(asked, gone);
        if (only) {
            return; /* and the upward subscription went with it */
        }
    }
    hub_up_announce(up);
}

/* --- a shard's -------------------------------------------------------------------------------------------------- */

static void forget_announcements(struct hub_shard *shard)
{
    struct rt_map_iter iter = rt_map_begin(shard->hub->identities);
    struct hub_identity *identity = NULL;

    while ((identity = rt_map_next(&iter)) != NULL) {
        identity->announced[shard->index / 8] &= (uint8_t) ~(1u << (shard->index % 8));
    }
}

void hub_shard_resume(struct hub_shard *shard)
{
    LIST_EACH(at, after, &shard->ups)
    {
        struct hub_up *up = LIST_ELEMENT(at, struct hub_up, in_shard);
        if (up->number == 0) {
            hub_up_announce(up);
        }
    }
    hub_topics_announce(shard);
    hub_seats_announce(shard);
    hub_shard_flush(shard);
}

static void take_out_of_force(struct hub_shard *shard, bool faulty)
{
    LIST_EACH(at, after, &shard->ups)
    {
        struct hub_up *up = LIST_ELEMENT(at, struct hub_up, in_shard);
        interrupt(up);
        if (up->number != 0) { /* a shard that is not a new one may still hold it */
            uplink_unsubscribe(shard->uplink, up->number);
        }
        hub_up_forget_number(up);
        LIST_EACH(sub_at, sub_after, &up->subs)
        {
            struct hub_sub *sub = LIST_ELEMENT(sub_at, struct hub_sub, in_up);
            if (faulty && sub->interrupted) {
                hub_sub_give_up(sub, HUB_GONE_FAULT);
            }
        }
    }
}

/* Whose place is an identity's that is not the client's any more. */
static void hand_to_heirs(struct hub_up *up)
{
    LIST_EACH(at, after, &up->subs)
    {
        struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_up);
        if (sub->heir != NULL) {
            bool only = up->subs.next->next == &up->subs;
            hub_sub_inherit(sub);
            if (only) {
                return; /* and the upward subscription went with it */
            }
        }
    }
}

static bool is_faulty(struct hub_shard *shard)
{
    rt_usec now = shard->hub->now();
    bool again = shard->lost && shard->has_faulted && now - shard->faulted < TRUST_AGAIN;

    if (shard->lost) {
        shard->has_faulted = true;
        shard->faulted = now;
    }
    return again;
}

void hub_shard_announce(struct hub_shard *shard)
{
    bool in_session = shard->in_session;

    hub_topics_interrupt(shard);
    hub_replies_fail(shard);
    hub_seats_interrupt(shard);
    take_out_of_force(shard, is_faulty(shard));
    shard->restart = false;
    shard->lost = false;
    shard->flow = NULL;
    hub_flow_init(&shard->live); /* a shard that was replaced may be behind its predecessor */
    hub_groups_drop(shard);
    forget_announcements(shard);
    shard->in_session = false; /* nothing is announced before everybody is in place */
    LIST_EACH(at, after, &shard->ups)
    {
        hand_to_heirs(LIST_ELEMENT(at, struct hub_up, in_shard));
    }
    shard->in_session = in_session;
    hub_shard_resume(shard);
}

void hub_shard_gap(struct hub_shard *shard, const struct wire_gap *gap)
{
    char reason[WIRE_TEXT_MAX + 1];

    (void)snprintf(reason, sizeof reason, "%.*s", (int)gap->reason.len, gap->reason.data);
    struct hub_gap told = {
        .after = gap->from,
        .position = gap->to,
        .reason = reason,
    };
    rt_log_warn(shard->hub->process->log, "shard.gap", RT_U("shard", shard->index),
                RT_S("reason", reason));
    hub_flow_release(&shard->live);
    LIST_EACH(up_at, up_after, &shard->ups)
    {
        struct hub_up *up = LIST_ELEMENT(up_at, struct hub_up, in_shard);
        LIST_EACH(at, after, &up->subs)
        {
            struct hub_sub *sub = LIST_ELEMENT(at, struct hub_sub, in_up);
            if (sub->audience != NULL && up->kind == WIRE_ACCEPT_LIVE) {
                sub->client->ops->on_gap(sub->client->session, sub->user, &told);
                rt_counter_add(shard->hub->metrics.gaps, 1);
            }
        }
    }
    hub_topics_gap(shard, reason);
    shard->live.has_position = true;
    shard->live.position = gap->to;
}

void hub_shard_flush(struct hub_shard *shard)
{
    if (!uplink_flush(shard->uplink) && shard->in_session) {
        shard->restart = true;
        rt_log_warn(shard->hub->process->log, "shard.announce_failed", RT_U("shard", shard->index));
    }
}
