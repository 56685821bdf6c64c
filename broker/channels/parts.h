/* broker/channels/parts.h - the structures that the files of channels/ share. Nobody else includes this.
 *
 *   channels.c   life; edges, identities, subscriptions; the tick
 *   topic.c      topics and their members
 *   publish.c    messages: judged, ordered, handed out
 *   ring.c       messages that are kept
 *   resume.c     subscriptions that go on behind a place
 *   presence.c   rooms
 *
 * Ownership: channels owns topics, kept messages and edges; an edge its speakers; a speaker its subscriptions and entries. A topic lives while it
 * has subscriptions, entries or kept messages; a speaker while it has subscriptions or entries.
 */
#ifndef PGTIDE_BROKER_CHANNELS_PARTS_H
#define PGTIDE_BROKER_CHANNELS_PARTS_H

#include <stddef.h>

#include "broker/channels/channels.h"
#include "runtime/buf.h"
#include "runtime/map.h"
#include "runtime/metrics.h"

/* A list whose elements can be taken out without a search; at the head or at the end. */
struct chain {
    struct chain_node *first;
    struct chain_node **end; /* NULL: empty, never used */
};
struct chain_node {
    struct chain_node *next;
    struct chain_node **link; /* NULL: in no list */
    struct chain *chain;
};
void chain_append(struct chain *chain, struct chain_node *node);
void chain_remove(struct chain_node *node); /* resting is fine */
#define CHAIN_ELEMENT(node, type, member)                                                          \
    ((node) == NULL ? NULL : (type *)(void *)((char *)(node)-offsetof(type, member)))

struct member {
    struct channels_edge *edge;
    uint32_t count;
};

struct topic {
    struct channels *channels;
    uint32_t group;
    struct member *members;
    uint32_t member_count;
    uint32_t subs; /* those that wait included */
    struct chain kept;
    size_t kept_bytes;
    struct wire_place floor; /* messages up to here are not kept any more */
    struct rt_map *presents; /* by ref; NULL: none yet */
    struct chain changed;    /* presents that are to be told */
    struct chain_node in_changed;
    size_t name_len;
    char name[];
};

/* A kept message. */
struct kept {
    struct topic *topic;
    struct wire_place place;
    rt_usec at;
    struct chain_node in_topic;
    struct chain_node in_all;
    uint32_t event_len;
    uint32_t payload_len;
    char bytes[]; /* event, payload */
};

/* What one identity of an edge has. */
struct speaker {
    struct channels_edge *edge;
    uint64_t identity;
    struct chain subs;
    struct chain presents;
};

struct sub {
    uint64_t id;
    struct speaker *speaker;
    struct topic *topic;
    bool live;
    bool has_since;
    struct wire_place since;
    rt_usec began;
    struct chain_node in_speaker;
    struct chain_node in_waiting;
};

struct present {
    uint64_t ref;
    struct topic *topic;
    struct speaker *speaker; /* NULL: lingers, or is gone */
    rt_usec lingers_until;   /* without a speaker; 0: gone, and to be told so */
    bool told;               /* members know of it */
    struct chain_node in_speaker;
    struct chain_node in_changed;
    struct chain_node in_lingering;
    size_t key_len;
    char *key; /* behind it the meta */
    size_t meta_len;
};

struct channels_edge {
    struct channels *channels;
    void *user;
    struct rt_map *subs;     /* by number */
    struct rt_map *speakers; /* by identity */
    struct chain_node in_all;
};

struct channels_metrics {
    struct rt_gauge *topics;
    struct rt_gauge *subs;
    struct rt_gauge *presents;
    struct rt_gauge *kept_bytes;
    struct rt_counter *messages;     /* from clients and HTTP */
    struct rt_counter *sql_messages; /* of this shard */
    struct rt_counter *bad_sql;
    struct rt_counter *copies;
    struct rt_counter *refused;
    struct rt_counter *gone;
};

struct channels {
    struct channels_config config;
    struct channels_metrics metrics;
    struct rt_map *topics;
    uint32_t next_group;
    uint64_t instance;
    uint64_t last_stamp;
    struct wire_place last; /* of the newest message */
    struct wire_place
        forgotten; /* by topics that are no more: their messages up to here at the latest */
    struct chain kept;
    size_t kept_bytes;
    size_t metas_bytes;
    size_t present_count;
    struct chain edges;
    struct chain waiting; /* subs */
    struct chain changed; /* topics */
    struct chain lingering;
    rt_usec started;
    bool settled;
    struct wire_writer scratch;
};

/* channels.c */
struct speaker *speaker_get(struct channels_edge *edge, uint64_t identity);
void speaker_drop_if_unused(struct speaker *speaker);
void channels_sub_free(struct sub *sub);
/* Rules, name and shard; false: the code, and why in `why`. */
bool channels_check(struct channels *channels, enum rules_act act, struct wire_span name,
                    const struct channels_who *who, int *out_code, char *why, size_t why_size);

/* topic.c */
struct topic *topic_find(const struct channels *channels, struct wire_span name);
struct topic *topic_get(struct channels *channels, struct wire_span name); /* NULL: too many */
void topic_drop_if_unused(struct topic *topic);
/* True: it is the first of this edge. */
bool topic_join(struct topic *topic, struct channels_edge *edge);
void topic_leave(struct topic *topic, const struct channels_edge *edge);
struct wire_span topic_name(const struct topic *topic);
/* CHANNEL and ACCEPT. */
void topic_accept(const struct sub *sub, uint32_t group, enum wire_accept_kind kind,
                  const struct wire_place *place);
/* <0, 0, >0; of one epoch. */
int place_cmp(const struct wire_place *a, const struct wire_place *b);
/* Where the next message would be, at the earliest. */
struct wire_place channels_place(struct channels *channels);

/* ring.c */
void ring_keep(struct topic *topic, const struct wire_place *place, struct wire_span event,
               struct wire_span payload);
void ring_expire(struct channels *channels, rt_usec now);
void ring_drop_all(struct channels *channels);

/* resume.c */
/* Makes it live now, or lets it wait, or ends it. It is in no list yet. */
void channels_sub_place(struct sub *sub);
void channels_resume(struct channels *channels, rt_usec now);
void channels_sub_live(struct sub *sub);

/* presence.c */
void presence_tell_all(struct topic *topic, struct channels_edge *edge);
void presence_settle(struct channels *channels);
void presence_tick(struct channels *channels, rt_usec now);
/* Its speaker is no more. */
void present_abandon(struct present *present, bool linger);
void presents_drop_all(struct topic *topic);

static inline struct rt_span bytes_of(struct wire_span text)
{
    return (struct rt_span){ (const uint8_t *)text.data, text.len };
}

/* publish.c */
void write_done(struct channels_edge *edge, uint64_t reply, int code, const char *message,
                const struct wire_place *place);

#endif
