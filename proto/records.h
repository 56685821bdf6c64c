/* proto/records.h - the records between tiers. proto/SPEC.md defines their bytes; this header,
 * how the program sees them.
 *
 * A message (a frame of a stream, or a message of a side channel) is one or more records, one
 * behind the other. A record is a msgpack array whose first element is its number. Decoding
 * borrows: texts, tuples and spans point into the message. Nothing here allocates, logs or knows
 * a socket (encoders grow their writer); every length and count is checked against the limits
 * below before it is used. A decoder that fails leaves its output unspecified and says why (enum
 * wire_err); a message with a bad record is refused by its receiver (SPEC.md 1.2).
 *
 * A decoder checks everything that its record contains, values of tuples and elements of lists
 * too: walking them afterwards, as far as the counts say, cannot fail.
 *
 * Cost: linear in the number of fields, values and elements (each is looked at once, by its
 * head), not in their bytes.
 */
#ifndef PGTIDE_PROTO_RECORDS_H
#define PGTIDE_PROTO_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/reader.h"
#include "proto/writer.h"

/* Of the records as a whole; peers with another one refuse each other (link hello). */
#define WIRE_VERSION 5

#define WIRE_NAME_MAX    63u  /* schema, table, column, role: NAMEDATALEN - 1 */
#define WIRE_CHANNEL_MAX 255u /* bytes of a channel name */
#define WIRE_FILTER_MAX  4096u
#define WIRE_CLAIMS_MAX  16384u      /* JSON text of a token's claims */
#define WIRE_PAYLOAD_MAX 1048576u    /* of one published message */
#define WIRE_TEXT_MAX    1024u       /* reasons, prefixes, event names */
#define WIRE_COLUMNS_MAX 1664u       /* MaxHeapAttributeNumber */
#define WIRE_GROUPS_MAX  65536u      /* groups in one deliver */
#define WIRE_RELS_MAX    65536u      /* relations in one truncate */
#define WIRE_VALUE_MAX   1073741824u /* one column value */
#define WIRE_TOKEN_MAX   4096u       /* where a snapshot goes on */
#define WIRE_ROWS_MAX    10000u      /* rows in one part of a snapshot */
#define WIRE_KEY_MAX     255u        /* of a presence; name of a user */
#define WIRE_META_MAX    16384u      /* JSON of a presence */
#define WIRE_PRESENT_MAX 65536u      /* entries in one presence */
#define WIRE_SHAPE_DEPTH 16u

enum wire_type {
    WIRE_RELATION = 1,
    WIRE_BEGIN = 2,
    WIRE_CHANGE = 3,
    WIRE_TRUNCATE = 4,
    WIRE_MESSAGE = 5,
    WIRE_END = 6,
    WIRE_PROGRESS = 7,
    WIRE_GAP = 8,
    WIRE_GROUP = 20,
    WIRE_DELIVER = 21,
    WIRE_DELIVER_TRUNCATE = 22,
    WIRE_ACCEPT = 23,
    WIRE_REFUSE = 24,
    WIRE_REPLAY = 25,
    WIRE_ROWS = 26,
    WIRE_GONE = 27,
    WIRE_FRESH = 28,
    WIRE_CHANNEL = 29,
    WIRE_BROADCAST = 30,
    WIRE_PRESENCE = 31,
    WIRE_DONE = 32,
    WIRE_RIGHTS = 33,
    WIRE_UNSEATED = 34,
    WIRE_REPLAYED = 35,
    WIRE_IDENTIFY = 40,
    WIRE_FORGET = 41,
    WIRE_SUBSCRIBE = 42,
    WIRE_UNSUBSCRIBE = 43,
    WIRE_PUBLISH = 44,
    WIRE_MORE = 45,
    WIRE_TRACK = 46,
    WIRE_UNTRACK = 47,
    WIRE_SEAT = 48,
    WIRE_UNSEAT = 49,
    WIRE_NEED = 50,
    WIRE_DESCRIBE = 51,
};

/* --- positions -------------------------------------------------------------------------------- */

/* Where a change is in the history of a database; totally ordered within an epoch. A position P
 * on a subscription means: everything up to and including P is known. (lsn, UINT32_MAX) is the
 * end of a transaction. */
struct wire_position {
    uint64_t epoch;
    uint64_t lsn;   /* of the commit */
    uint32_t index; /* of the change within its transaction, from 0 */
};
#define WIRE_POSITION_TEXT_SIZE 48
/* 7f3a-00000000016b3748-3: hex epoch, 16 hex digits, hex index. One position has one text; parsing
 * refuses every other spelling and then leaves `out` alone. */
void wire_position_text(const struct wire_position *position, char out[WIRE_POSITION_TEXT_SIZE]);
bool wire_position_parse(const char *text, size_t len, struct wire_position *out);
/* <0, 0, >0 by (lsn, index); epochs are not compared. */
int wire_position_cmp(const struct wire_position *a, const struct wire_position *b);

/* --- tuples ----------------------------------------------------------------------------------- */

/* One value of a tuple, in PostgreSQL's text form (client_encoding UTF8, settings pinned by the
 * tailer). */
enum wire_value_kind {
    WIRE_VALUE_NULL,
    WIRE_VALUE_TEXT,
    WIRE_VALUE_MISSING,   /* not in the WAL record (key-only old tuple), or not for this reader */
    WIRE_VALUE_UNCHANGED, /* TOASTed and untouched: not in the WAL */
    WIRE_VALUE_TOO_LARGE, /* over database.max_value */
};
struct wire_value {
    enum wire_value_kind kind;
    uint32_t len;
    const char *text; /* not terminated */
};
/* A tuple is a msgpack array of values, carried as its raw bytes. data NULL: no tuple. */
struct wire_tuple {
    const uint8_t *data;
    size_t len;
};
/* Walks a tuple. wire_tuple_open gives the number of values (no tuple: WIRE_ERR_SHORT);
 * wire_tuple_next the next one. text is never a null pointer. */
enum wire_err wire_tuple_open(struct wire_tuple tuple, struct wire_reader *in, uint32_t *out_count);
enum wire_err wire_tuple_next(struct wire_reader *in, struct wire_value *out);
/* Writes a tuple value by value: after wire_write_array(out, count). */
void wire_write_value(struct wire_writer *out, const struct wire_value *value);

/* --- shapes: how a column's text becomes JSON ------------------------------------------------- */

/* A shape is msgpack: an integer kind for a plain type, or an array [kind, …] for a nested one. The
 * tailer makes it from the catalog, the edge follows it; nobody in between looks inside. */
enum wire_shape_kind {
    WIRE_SHAPE_TEXT = 0,   /* JSON string */
    WIRE_SHAPE_NUMBER = 1, /* number; NaN and infinities are strings */
    WIRE_SHAPE_BOOL = 2,   /* t / f */
    WIRE_SHAPE_DATE = 3,
    WIRE_SHAPE_TIMESTAMP = 4,   /* ' ' becomes 'T' */
    WIRE_SHAPE_TIMESTAMPTZ = 5, /* and +00 becomes +00:00 */
    WIRE_SHAPE_JSON = 6,        /* json, jsonb: embedded */
    WIRE_SHAPE_ARRAY = 7,       /* [7, delimiter (1-byte str), element shape] */
    WIRE_SHAPE_COMPOSITE = 8,   /* [8, [name, shape], …] */
    WIRE_SHAPE_VECTOR = 9,      /* [9, element shape]: blanks between, no braces (oidvector) */
};

/* --- tailer → broker -------------------------------------------------------------------------- */

enum { WIRE_COLUMN_IDENTITY = 1, WIRE_COLUMN_PRIMARY = 2 };
struct wire_column {
    struct wire_span name;
    uint32_t type_oid;
    int32_t typmod;
    uint32_t flags;
    struct wire_span shape; /* raw msgpack */
};

/* A table as of one generation of its definition. `rel` numbers generations, unique for one
 * epoch of the stream. */
struct wire_relation {
    uint32_t rel;
    uint32_t oid;
    struct wire_span schema;
    struct wire_span table;
    uint8_t identity; /* 'd', 'n', 'f', 'i' as in pg_class.relreplident */
    uint32_t column_count;
    struct wire_reader columns; /* column_count of them: wire_next_column */
    uint32_t not_streamed_count;
    struct wire_reader not_streamed; /* names of generated columns: wire_read_str each */
};
enum wire_err wire_next_column(struct wire_reader *in, struct wire_column *out);

struct wire_begin {
    uint64_t epoch;
    uint64_t commit_lsn;
    uint32_t xid;
    int64_t commit_time; /* microseconds since 1970 */
    bool continued;      /* not the first frame of this transaction on this stream */
};

enum wire_op { WIRE_INSERT = 1, WIRE_UPDATE = 2, WIRE_DELETE = 3 };
enum wire_old_kind { WIRE_OLD_NONE = 0, WIRE_OLD_KEY = 1, WIRE_OLD_FULL = 2 };

struct wire_change {
    uint32_t rel;
    uint32_t index;
    enum wire_op op;
    enum wire_old_kind old_kind;
    struct wire_tuple new_row; /* data NULL for DELETE, and only then */
    struct wire_tuple old_row; /* data NULL for WIRE_OLD_NONE: every INSERT, never a DELETE */
};

enum { WIRE_TRUNCATE_CASCADE = 1, WIRE_TRUNCATE_RESTART_IDENTITY = 2 };
struct wire_truncate {
    uint32_t index;
    uint32_t flags;
    uint32_t rel_count;
    struct wire_reader rels; /* wire_read_u32 each */
};

/* pg_logical_emit_message. A transactional one lies between begin and end and counts an index. */
struct wire_message {
    uint32_t index;
    uint64_t lsn;
    bool transactional;
    struct wire_span prefix;
    struct wire_span content;
};

struct wire_end {
    uint64_t commit_lsn;
    uint64_t end_lsn; /* what may be confirmed once this is processed */
    uint32_t count;   /* changes of the whole transaction, all shards */
};

/* Everything committed up to lsn has been sent on this stream. */
struct wire_progress {
    uint64_t epoch;
    uint64_t lsn;
    int64_t server_time; /* microseconds since 1970, the database's clock */
};

/* History between from and to is not available (epochs may differ). */
struct wire_gap {
    struct wire_position from;
    struct wire_position to;
    struct wire_span reason;
};

/* --- broker → edge ---------------------------------------------------------------------------- */

/* What the members of a group see of a table: sent before the first deliver that names it, and
 * again with the same number when the table's definition changed. columns carries only columns
 * the group may read; `at` is the position in the tuple. */
struct wire_group_column {
    uint32_t at;
    struct wire_span name;
    uint32_t flags;
    struct wire_span shape;
};
struct wire_group {
    uint32_t group;
    struct wire_span schema;
    struct wire_span table;
    uint32_t column_count;
    struct wire_reader columns; /* wire_next_group_column */
    uint32_t not_streamed_count;
    struct wire_reader not_streamed;
};
enum wire_err wire_next_group_column(struct wire_reader *in, struct wire_group_column *out);

/* One change for some groups of one edge; op is what it is to each group (viewer-relative). */
struct wire_delivery {
    uint32_t group;
    enum wire_op op;
};
struct wire_deliver {
    uint32_t index;
    enum wire_old_kind old_kind;
    uint32_t group_count;
    struct wire_reader groups; /* wire_next_delivery */
    struct wire_tuple new_row; /* data NULL only when every group's op is DELETE */
    struct wire_tuple old_row; /* data NULL for WIRE_OLD_NONE, and only then; needed by a DELETE */
};
enum wire_err wire_next_delivery(struct wire_reader *in, struct wire_delivery *out);

struct wire_deliver_truncate {
    uint32_t index;
    uint32_t flags;
    uint32_t group_count;
    struct wire_reader groups; /* wire_read_u32 each */
};

/* How an accepted subscription is fed. */
enum wire_accept_kind {
    WIRE_ACCEPT_LIVE,     /* by the group's deliveries */
    WIRE_ACCEPT_REPLAY,   /* first by replays to `group`, of what came after `position` */
    WIRE_ACCEPT_SNAPSHOT, /* first by rows and replays to `group` */
};
/* The subscription is armed and belongs to `group`; it is complete from `position` on. Comes
 * again when the group changes, and as LIVE when a replay or snapshot has caught up. */
struct wire_accept {
    uint64_t sub;
    uint32_t group;
    enum wire_accept_kind kind;
    struct wire_position position;
};

/* Like begin, for one replay group: what follows, up to the end or the frame's end, is of the past and for that group only. */
struct wire_replay {
    uint32_t group;
    uint64_t epoch;
    uint64_t commit_lsn;
    uint32_t xid;
    int64_t commit_time;
    bool continued;
};
/* Everything up to the position that this replay group is to hear of the past has been sent. */
struct wire_replayed {
    uint32_t group;
    struct wire_position position;
};

/* Part of a snapshot, for one replay group. */
struct wire_rows {
    uint32_t group;
    bool last;              /* there are no more */
    struct wire_span token; /* where to go on behind these; "" for nowhere */
    uint32_t row_count;
    struct wire_reader rows; /* wire_next_row */
};
enum wire_err wire_next_row(struct wire_reader *in, struct wire_tuple *out);

/* A subscription cannot go on from its `since` or token; it is over. */
enum wire_gone_reason {
    WIRE_GONE_EPOCH = 1,    /* the position is of another history */
    WIRE_GONE_TOO_OLD = 2,  /* before `oldest` */
    WIRE_GONE_AHEAD = 3,    /* behind `newest`: the database is not there yet */
    WIRE_GONE_SNAPSHOT = 4, /* the token is not usable */
};
struct wire_gone {
    uint64_t sub;
    enum wire_gone_reason reason;
    struct wire_span message;
    struct wire_position oldest; /* what could be had, from here */
    struct wire_position newest; /* to here */
};

/* A freshness marker came through the stream. */
struct wire_fresh {
    uint64_t epoch;
    uint64_t lsn;
    int64_t written_at; /* microseconds since 1970, the tailer's clock when it wrote the marker */
};

/* The subscription goes on, but what it may see is another view from `position` on: rows that its client has may not be
 * in it any more, and others are that it was never told of. */
struct wire_rights {
    uint64_t sub;
    struct wire_position position;
};

/* The user of this seat has as many as they may, on all edges together: it is not theirs, and its client is to go. */
struct wire_unseated {
    uint64_t seat;
};

/* The codes of seed 003, in its order. */
enum wire_code {
    WIRE_CODE_UNAUTHORIZED = 1,
    WIRE_CODE_FORBIDDEN = 2,
    WIRE_CODE_INVALID_CHANNEL = 3,
    WIRE_CODE_SUBSCRIPTION_FAILED = 4,
    WIRE_CODE_RATE_LIMITED = 5,
};
/* The subscription is not, or no longer, in force. */
struct wire_refuse {
    uint64_t sub;
    enum wire_code code;
    struct wire_span message;
};

/* --- edge → broker ---------------------------------------------------------------------------- */

struct wire_identify {
    uint64_t identity; /* chosen by the edge */
    struct wire_span role;
    struct wire_span claims; /* JSON object, "" without a token */
    int64_t expires;         /* microseconds since 1970; 0: never */
};
struct wire_forget {
    uint64_t identity;
};
/* How a filter is written, as its client's protocol has it (broker/match/filter.h). */
enum wire_filter_kind {
    WIRE_FILTER_PLAIN = 0, /* one test or group; a value is the rest of the text */
    WIRE_FILTER_LIST = 1,  /* between commas */
    WIRE_FILTER_QUERY = 2, /* between &, as in a query string whose escapes are undone */
};
struct wire_subscribe {
    uint64_t sub; /* chosen by the edge, never used twice in a session */
    uint64_t identity;
    struct wire_span channel; /* "table:public.users" */
    struct wire_span filter;  /* "" for none */
    enum wire_filter_kind filter_kind;
    bool has_since;
    struct wire_position since;
    bool snapshot; /* rows first; not together with since */
    uint32_t
        page_rows; /* at most so many in one part; up to WIRE_ROWS_MAX, 0 only without snapshot */
    struct wire_span token; /* of an earlier snapshot, to go on with; "" for none */
};
/* Room for so many more parts of a snapshot. */
struct wire_more {
    uint64_t sub;
    uint32_t parts;
};
struct wire_unsubscribe {
    uint64_t sub;
};
struct wire_publish {
    uint64_t identity;
    struct wire_span channel;
    struct wire_span event;
    struct wire_span payload; /* JSON text, passed on as it is */
    uint64_t sender; /* which of the edge's clients; comes back with the message. 0: none */
    bool to_sender;  /* it gets the message too, if it is a member */
    uint64_t reply;  /* DONE answers under this number; 0: no answer is wanted */
};

/* A connection of a user, which counts against how many that user may have on all edges together. Sent to the shard of
 * "user:{user}". */
struct wire_seat {
    uint64_t seat; /* chosen by the edge, never used twice in a session */
    struct wire_span user;
    uint32_t limit; /* seats of this user, this one included; at least 1 */
    bool kept;      /* it was let in before this session: it counts, and is not judged again */
};
/* It is free again. */
struct wire_unseat {
    uint64_t seat;
};

/* --- broker → tailer -------------------------------------------------------------------------- */

/* "Send me relation `rel` again": the answer is a relation record on the side channel. */
struct wire_need {
    uint32_t rel;
};

/* "How is this table defined now?": the answer is a relation record too, or none if there is no such table. */
struct wire_describe {
    uint32_t oid;
};

/* --- encoding and decoding -------------------------------------------------------------------- */

/* Reads a record's header: its number. `in` then stands at its first field, and the matching
 * decoder below reads the rest; the count of fields is checked here already (WIRE_ERR_ARITY). At
 * the end of the message: WIRE_ERR_END, which is no failure: `in` stays as it is. */
enum wire_err wire_next_record(struct wire_reader *in, enum wire_type *out_type);

#define WIRE_CODEC(name)                                                                           \
    enum wire_err wire_decode_##name(struct wire_reader *in, struct wire_##name *out);             \
    void wire_encode_##name(struct wire_writer *out, const struct wire_##name *record);
/* Those with nested lists are encoded in steps; see below. */
WIRE_CODEC(begin)
WIRE_CODEC(change)
WIRE_CODEC(message)
WIRE_CODEC(end)
WIRE_CODEC(progress)
WIRE_CODEC(gap)
WIRE_CODEC(accept)
WIRE_CODEC(refuse)
WIRE_CODEC(replay)
WIRE_CODEC(replayed)
WIRE_CODEC(gone)
WIRE_CODEC(fresh)
WIRE_CODEC(rights)
WIRE_CODEC(unseated)
WIRE_CODEC(identify)
WIRE_CODEC(forget)
WIRE_CODEC(subscribe)
WIRE_CODEC(unsubscribe)
WIRE_CODEC(publish)
WIRE_CODEC(more)
WIRE_CODEC(seat)
WIRE_CODEC(unseat)
WIRE_CODEC(need)
WIRE_CODEC(describe)
#undef WIRE_CODEC

enum wire_err wire_decode_relation(struct wire_reader *in, struct wire_relation *out);
enum wire_err wire_decode_truncate(struct wire_reader *in, struct wire_truncate *out);
enum wire_err wire_decode_group(struct wire_reader *in, struct wire_group *out);
enum wire_err wire_decode_deliver(struct wire_reader *in, struct wire_deliver *out);
enum wire_err wire_decode_deliver_truncate(struct wire_reader *in,
                                           struct wire_deliver_truncate *out);
enum wire_err wire_decode_rows(struct wire_reader *in, struct wire_rows *out);

void wire_encode_relation(struct wire_writer *out, const struct wire_relation *head,
                          const struct wire_column *columns, const struct wire_span *not_streamed);
void wire_encode_truncate(struct wire_writer *out, uint32_t index, uint32_t flags,
                          const uint32_t *rels, uint32_t rel_count);
void wire_encode_group(struct wire_writer *out, const struct wire_group *head,
                       const struct wire_group_column *columns,
                       const struct wire_span *not_streamed);
void wire_encode_deliver(struct wire_writer *out, const struct wire_deliver *head,
                         const struct wire_delivery *groups);
void wire_encode_deliver_truncate(struct wire_writer *out, uint32_t index, uint32_t flags,
                                  const uint32_t *groups, uint32_t group_count);
void wire_encode_rows(struct wire_writer *out, const struct wire_rows *head,
                      const struct wire_tuple *rows);

#include "proto/records_channel.h"

#endif
