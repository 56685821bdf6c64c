/* tests/unit/broker/channels/told.h - records of channels as texts.
 *
 * What an edge is told is printed as one line for each record:
 *   channel G NAME PLACE, accept SUB G live|replay, refuse SUB CODE, gone SUB REASON, done REPLY CODE
 *   message G EVENT PAYLOAD PLACE [sender N] [not to it], presence G full|changes [unsettled] REF:KEY=META …
 */
#ifndef PGTIDE_TESTS_UNIT_BROKER_CHANNELS_TOLD_H
#define PGTIDE_TESTS_UNIT_BROKER_CHANNELS_TOLD_H

#include "proto/records.h"
#include "runtime/buf.h"
#include "tests/unit/broker/kit.h"

static inline void say_place(struct rt_buf *out, const struct wire_place *place)
{
    rt_buf_printf(out, " %d/%d", (int)place->position.lsn, (int)place->stamp);
}

static inline void say_presence(struct rt_buf *out, struct wire_presence *presence)
{
    struct wire_present entry;

    rt_buf_printf(out, "presence %u %s%s", presence->group, presence->full ? "full" : "changes",
                  presence->settled ? "" : " unsettled");
    for (uint32_t i = 0; i < presence->entry_count; i++) {
        assert_int_equal(wire_next_present(&presence->entries, &entry), WIRE_OK);
        rt_buf_printf(out, " %d:%.*s=%.*s", (int)entry.ref, (int)entry.key.len, entry.key.data,
                      entry.meta.data == NULL ? 4 : (int)entry.meta.len,
                      entry.meta.data == NULL ? "gone" : entry.meta.data);
    }
}

static inline void say_broadcast(struct rt_buf *out, const struct wire_broadcast *message)
{
    rt_buf_printf(out, "message %u %.*s %.*s", message->group, (int)message->event.len,
                  message->event.data, (int)message->payload.len, message->payload.data);
    say_place(out, &message->place);
    if (message->sender != 0) {
        rt_buf_printf(out, " sender %d", (int)message->sender);
    }
    rt_buf_puts(out, message->to_sender ? "" : " not to it");
}

static inline void say_record(struct rt_buf *out, enum wire_type type, struct wire_reader *in)
{
    struct wire_channel channel;
    struct wire_accept accept;
    struct wire_refuse refuse;
    struct wire_gone gone;
    struct wire_done done;
    struct wire_broadcast broadcast;
    struct wire_presence presence;

    if (type == WIRE_CHANNEL && wire_decode_channel(in, &channel) == WIRE_OK) {
        rt_buf_printf(out, "channel %u %.*s", channel.group, (int)channel.channel.len,
                      channel.channel.data);
        say_place(out, &channel.place);
    } else if (type == WIRE_ACCEPT && wire_decode_accept(in, &accept) == WIRE_OK) {
        rt_buf_printf(out, "accept %d %u %s", (int)accept.sub, accept.group,
                      accept.kind == WIRE_ACCEPT_LIVE ? "live" : "replay");
    } else if (type == WIRE_REFUSE && wire_decode_refuse(in, &refuse) == WIRE_OK) {
        rt_buf_printf(out, "refuse %d %d", (int)refuse.sub, (int)refuse.code);
    } else if (type == WIRE_GONE && wire_decode_gone(in, &gone) == WIRE_OK) {
        rt_buf_printf(out, "gone %d %d", (int)gone.sub, (int)gone.reason);
    } else if (type == WIRE_DONE && wire_decode_done(in, &done) == WIRE_OK) {
        rt_buf_printf(out, "done %d %u", (int)done.reply, done.code);
    } else if (type == WIRE_BROADCAST && wire_decode_broadcast(in, &broadcast) == WIRE_OK) {
        say_broadcast(out, &broadcast);
    } else if (type == WIRE_PRESENCE && wire_decode_presence(in, &presence) == WIRE_OK) {
        say_presence(out, &presence);
    } else {
        fail_msg("record %d", (int)type);
    }
    rt_buf_puts(out, "\n");
}

#endif
