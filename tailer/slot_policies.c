/* tailer/slot_policies.c - the second publication of the stream: the tables that policies read (deploy/sql/08_policies.sql).
 *
 * A slot sees the catalog as of its position. So a publication that was made later, by a newer `pgtide init`, does not exist for
 * a slot that was there before: streaming with it fails until everything that was under way when it was made is confirmed. Until
 * then the stream goes on without it, as it does in a database that does not have it at all.
 *
 * Brokers keep sets of members only while the stream brings their changes. They look at pgtide.slot.policies: true is said only
 * once the stream has come past what was there when it started, false before a stream without it starts.
 */
#include "runtime/log.h"
#include "tailer/slot_impl.h"

static void say(struct slot *slot, bool streamed)
{
    if (slot->setup.says_policies != streamed &&
        setup_say_policies(&slot->config.setup, streamed)) {
        slot->setup.says_policies = streamed;
        rt_log_info(slot->config.log, "policies.followed", RT_S("now", streamed ? "yes" : "no"));
    }
}

static bool possible(struct slot *slot)
{
    const char *publication = slot->config.setup.policy_publication;

    if (!slot->setup.has_policies) {
        rt_log_warn(slot->config.log, "policies.missing", RT_S("publication", publication),
                    RT_S("advice", "run `pgtide init`: until then PostgreSQL is asked about each "
                                   "row that a policy with a subquery judges"));
        return false;
    }
    if (slot->policies_failed) {
        slot->policies_failed = false;
        slot->policies_after = slot->server_lsn;
    }
    bool past = slot->created_lsn != 0 || slot->setup.confirmed_lsn >= slot->policies_after;
    if (!past) {
        rt_log_info(slot->config.log, "policies.not_yet", RT_S("publication", publication),
                    RT_S("reason", "it is newer than what the slot reads now"));
    }
    return past;
}

bool slot_policies_start(struct slot *slot)
{
    slot->policies = possible(slot);
    slot->policies_until = 0;
    if (!slot->policies) {
        say(slot, false);
    } else if (slot->created_lsn != 0) {
        say(slot, true);
    } else if (!slot->setup.says_policies) {
        slot->policies_until = slot->server_lsn;
    }
    return slot->policies;
}

static void look_for_it(struct slot *slot)
{
    bool there = slot->setup.has_policies || setup_has_policies(&slot->config.setup);

    if (there && slot->confirmed >= slot->policies_after) {
        (void)slot_restart(slot, "the policies' publication can be streamed too");
    }
}

void slot_policies_look(struct slot *slot)
{
    if (slot->state != SLOT_STREAMING) {
        return;
    }
    if (!slot->policies) {
        look_for_it(slot);
    } else if (slot->policies_until != 0 && slot->received >= slot->policies_until) {
        slot->policies_until = 0;
        say(slot, true);
    }
}
