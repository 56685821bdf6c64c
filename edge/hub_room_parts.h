/* edge/hub_room_parts.h - what the hub's files about rooms share. Nobody else includes it.
 *
 *   hub_topic.c     topics and passes: announced, accepted, refused, interrupted
 *   hub_room.c      rooms of clients: made, armed, moved, ended; their audiences
 *   hub_message.c   the way of a message to its members
 *   hub_presence.c  who is in a topic, and what of it its members hear
 *   hub_track.c     what clients say of themselves
 *   hub_publish.c   what clients send, and the answers
 *   hub_place.c     the text of a place
 *
 *   topic      a channel that some client of this edge is in. What is known of it is known once
 *   pass       the right of one identity to be in it: a subscription at the shard. A room that goes on from a place has one of its own
 *              until it has caught up
 *   room       what one client asked for
 *   audience   members of a topic whose frames are the same bytes
 *
 * A topic lives while it has passes; a pass while it has rooms, or rooms that wait to move to it. A room in force is in an audience; while it is
 * not, its pass says from where it goes on.
 */
#ifndef PGTIDE_EDGE_HUB_ROOM_PARTS_H
#define PGTIDE_EDGE_HUB_ROOM_PARTS_H

#include "edge/hub_parts.h"

struct hub_topic {
    struct hub_shard *shard;
    struct list_node in_shard;
    struct list_node passes;
    uint32_t group; /* 0: not known */
    bool known;     /* instance says something */
    uint64_t instance;
    struct wire_place place; /* everything up to here has come */
    struct room_audience **audiences;
    uint32_t count;
    uint32_t cap;
    struct rt_map *presents; /* ref -> struct hub_present_entry */
    struct rt_map *keys;     /* key -> struct hub_present_key */
    struct list_node key_list;
    bool present_known; /* by this session of the shard */
    uint64_t serial;    /* changes with who is there */
    size_t name_len;
    char name[];
};

struct hub_pass {
    struct hub_topic *topic;
    struct hub_identity *identity;
    uint64_t number; /* on the wire; 0: not announced */
    bool solo;
    bool accepted;
    bool has_since; /* where its rooms go on */
    struct wire_place since;
    bool resuming; /* the shard sends what is behind `since` */
    uint32_t replay_group;
    struct list_node rooms;
    struct list_node heirs; /* rooms that move here when it is accepted */
    struct list_node in_topic;
};

struct hub_room {
    struct hub_client *client;
    struct hub_pass *pass;
    struct hub_pass *next; /* under the client's new identity; NULL: none */
    struct room_audience *audience;
    uint32_t member;
    unsigned form;
    bool acked;
    bool asked;       /* with a since */
    bool interrupted; /* acked, and out of force */
    bool want_sync;   /* when it is known who is there */
    const char *gap;  /* to be told when it is in force again */
    uint64_t serial;  /* of the topic when it went out of force */
    struct wire_place
        place; /* it has everything up to here; while it is out of force, and when it came */
    struct merge_source *source;
    struct list_node tracks;
    size_t track_count;
    void *user;
    rt_usec began;
    struct list_node in_client;
    struct list_node in_pass;
    struct list_node in_next;
    struct list_node in_waiting;
    struct list_node in_merging;
    size_t text_len;
    char text[];
};

struct hub_tracked {
    uint64_t ref;
    uint64_t reply; /* of the last time that its client said it; 0: none is wanted */
    struct list_node in_room;
    size_t key_len;
    size_t meta_len;
    char *text; /* key, meta */
};

struct room_member {
    void *to;
    struct hub_room *room;
};

struct room_audience {
    struct hub_topic *topic;
    uint32_t index;
    const struct hub_dialect *ops;
    void *dialect;
    unsigned form;
    struct room_member *members;
    uint32_t count;
    uint32_t cap;
    struct list_node notes;
    size_t text_len;
    char text[];
};

/* A message from SQL that waits for its turn among the changes of its transaction. */
struct hub_note {
    struct room_audience *audience;
    struct edge_frame *frame;
    struct wire_place place;
    uint64_t order;
    struct list_node in_flow;
    struct list_node in_audience;
};

struct hub_present_key {
    struct list_node in_topic;
    struct list_node entries;
    size_t len;
    char text[];
};
struct hub_present_entry {
    uint64_t ref;
    struct hub_present_key *key;
    struct list_node in_key;
    bool seen;
    bool fresh; /* of a key that was not there; being told */
    size_t meta_len;
    char *meta;
};

struct hub_reply {
    uint64_t number;
    bool again; /* what it answers is said again to a new session: then it comes there */
    struct hub_client *client;
    void *user;
    struct list_node in_client;
    struct list_node in_shard;
};

static inline struct wire_span topic_name(const struct hub_topic *topic)
{
    return (struct wire_span){ topic->name, topic->name_len };
}

/* hub_topic.c */
struct hub_pass *hub_pass_get(struct hub *hub, struct hub_identity *identity,
                              struct wire_span channel);
struct hub_pass *hub_pass_solo(struct hub *hub, struct hub_identity *identity,
                               struct wire_span channel);
void hub_pass_announce(struct hub_pass *pass); /* unless it is, or there is no session */
void hub_pass_drop_if_unused(struct hub_pass *pass);
/* Up to where everything has come. */
struct wire_place hub_topic_reached(const struct hub_topic *topic);

/* hub_room.c */
void hub_room_free(struct hub_room *room);
void hub_room_move(struct hub_room *room, struct hub_pass *pass);
/* Its pass is in force: live. */
void hub_room_arm(struct hub_room *room);
/* Its pass gives it what it asked for, from the pass's since on. */
void hub_room_resume(struct hub_room *room);
void hub_room_interrupt(struct hub_room *room);
void hub_room_refuse(struct hub_room *room, enum wire_code code, struct rt_span message);
void hub_room_gone(struct hub_room *room, const struct wire_gone *gone);

/* hub_message.c */
const char *hub_message_record(struct hub_shard *shard, const struct wire_broadcast *record);
void hub_note_free(struct hub_note *note);

/* hub_presence.c */
const char *hub_presence_record(struct hub_topic *topic, struct wire_presence *record);
void hub_presence_fini(struct hub_topic *topic);
/* Who is there, to one member; nothing if nobody is. */
void hub_presence_sync(struct hub_room *room);
/* hub_track.c */
void hub_tracks_announce(const struct hub_room *room);
void hub_tracks_end(struct hub_room *room);

/* hub_publish.c */
uint64_t hub_reply_new(struct hub_client *client, struct hub_shard *shard, void *user);
void hub_reply_again(struct hub *hub, uint64_t number, bool again); /* unless it has come */

#endif
