/* tests/unit/proto/any_record.h - one record of any type, for tests that treat all of them alike.
 *
 * Shared by the vectors test and the fuzz targets. Borrows from the message like the decoders.
 */
#ifndef PGTIDE_TESTS_UNIT_PROTO_ANY_RECORD_H
#define PGTIDE_TESTS_UNIT_PROTO_ANY_RECORD_H

#include <stdio.h>

#include "proto/records.h"

struct any_record {
    enum wire_type type;
    union {
        struct wire_relation relation;
        struct wire_begin begin;
        struct wire_change change;
        struct wire_truncate truncate;
        struct wire_message message;
        struct wire_end end;
        struct wire_progress progress;
        struct wire_gap gap;
        struct wire_group group;
        struct wire_deliver deliver;
        struct wire_deliver_truncate deliver_truncate;
        struct wire_accept accept;
        struct wire_refuse refuse;
        struct wire_replay replay;
        struct wire_replayed replayed;
        struct wire_rows rows;
        struct wire_gone gone;
        struct wire_fresh fresh;
        struct wire_rights rights;
        struct wire_more more;
        struct wire_channel channel;
        struct wire_broadcast broadcast;
        struct wire_presence presence;
        struct wire_done done;
        struct wire_track track;
        struct wire_untrack untrack;
        struct wire_unseated unseated;
        struct wire_seat seat;
        struct wire_unseat unseat;
        struct wire_identify identify;
        struct wire_forget forget;
        struct wire_subscribe subscribe;
        struct wire_unsubscribe unsubscribe;
        struct wire_publish publish;
        struct wire_need need;
        struct wire_describe describe;
    };
};

/* The next record of a message; WIRE_ERR_END behind the last one. */
enum wire_err any_record_decode(struct wire_reader *in, struct any_record *out);
/* Lists are walked again and collected; a walk that fails or overruns aborts. */
void any_record_encode(struct wire_writer *out, const struct any_record *record);
/* As one JSON object, members in the order of the fields: SPEC.md 9. Text bytes are passed on. */
void any_record_print(FILE *out, const struct any_record *record);

#endif
