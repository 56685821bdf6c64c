/* broker/route/parts.h - the structures that the files of route/ share. Nobody else includes this.
 *
 * Ownership: the route owns tables and edges, a table its audiences and groups, a group its members, an edge its
 * identities and subscriptions. A table lives while it has audiences, an audience while it has subscriptions,
 * a group while an audience points to it, a member while its count is not 0.
 */
#ifndef PGTIDE_BROKER_ROUTE_PARTS_H
#define PGTIDE_BROKER_ROUTE_PARTS_H

#include "broker/route/route.h"

struct rt_map;

struct member {
    struct route_group *group;
    struct route_edge *edge;
    uint32_t count;
    uint64_t announced; /* serial of the relation in the last GROUP sent; 0: none */
};

struct route_group {
    uint32_t number; /* never used twice */
    struct route_table *table;
    struct access *access;
    uint32_t audiences; /* that point here */
    struct member **members;
    uint32_t member_count;
};

struct lane {
    struct route_edge *edge;
    struct member **members;
    struct wire_delivery *deliveries; /* one for each member, in the same order */
    uint32_t count;
    bool whole;    /* some group reads every column: rows go through as they are */
    bool *visible; /* else: column by column, whether some group reads it */
};

struct route_table {
    struct route *route;
    char schema[WIRE_NAME_MAX + 1];
    char table[WIRE_NAME_MAX + 1];
    struct rt_map *audiences; /* by role */
    struct route_group **groups;
    uint32_t group_count;
    struct lane *lanes; /* made for lane_serial; remade when dirty */
    uint32_t lane_count;
    uint64_t lane_serial;
    bool dirty;
};

struct audience {
    struct route_table *table;
    char role[WIRE_NAME_MAX + 1];
    void *watch;
    struct access *access;     /* NULL: not answered yet */
    struct route_group *group; /* NULL unless allowed */
    struct sub *subs;          /* doubly linked */
};

struct identity {
    uint64_t id;
    struct sub *subs; /* doubly linked */
    char role[WIRE_NAME_MAX + 1];
};

/* Asking: no member, not listed. Unarmed: listed in route->unarmed. Armed: has a member. */
enum sub_state { SUB_ASKING, SUB_UNARMED, SUB_ARMED };
struct sub {
    uint64_t id;
    struct route_edge *edge;
    struct identity *identity;
    struct audience *audience;
    struct sub *audience_next;
    struct sub **audience_link;
    struct sub *identity_next;
    struct sub **identity_link;
    union {
        struct member *member; /* SUB_ARMED */
        size_t slot;           /* SUB_UNARMED */
    } at;
    enum sub_state state;
};

struct unarmed {
    struct sub *sub;
    rt_usec since;
};

struct route_edge {
    struct route *route;
    void *user;
    struct rt_map *identities;
    struct rt_map *subs;
    struct wire_writer out;
    bool queued; /* listed in route->pending */
    bool begun;  /* BEGIN is in `out` */
    bool open;   /* BEGIN of the transaction at hand was sent, END not: listed in route->open */
    uint64_t open_serial;      /* of the transaction whose BEGIN was sent last */
    struct wire_position told; /* it knows that it has everything up to here */
    rt_usec told_at;           /* when it was last sent PROGRESS */
    uint32_t *truncated;       /* groups of the truncate at hand */
    uint32_t truncated_count;
    uint32_t truncated_cap;
};

/* A list of edges; each knows by a flag whether it is in. */
struct edge_list {
    struct route_edge **items;
    size_t count;
    size_t cap;
};

struct route {
    struct route_config config;
    struct rt_map *tables;  /* by schema NUL table */
    uint64_t tables_serial; /* changes with the set of tables */
    uint32_t next_group;
    struct edge_list edges;
    struct edge_list pending; /* something to send */
    struct edge_list open;
    struct unarmed *unarmed;
    size_t unarmed_count;
    size_t unarmed_cap;
    struct wire_begin begin;
    bool in_transaction;
    uint64_t transaction_serial;   /* changes with the commit position */
    bool known;                    /* `at` says something */
    struct wire_position at;       /* everything up to here has been routed */
    struct wire_position complete; /* likewise, and no transaction goes on behind it */
    int64_t server_time;           /* the database's clock about there */
    struct wire_writer rows;       /* scratch for rows with hidden columns */
};

/* table.c */
struct route_table *table_get(struct route *route, struct wire_span schema, struct wire_span table);
struct route_table *table_find(struct route *route, struct relation *relation);
void table_drop_if_unused(struct route_table *table);
/* The lanes for rows of this relation; remade if need be. */
void table_prepare(struct route_table *table, const struct relation *relation);

/* group.c */
struct route_group *group_for(struct route_table *table,
                              struct access *access); /* NULL: too many */
void group_release(struct route_group *group);        /* one audience less */
struct member *group_join(struct route_group *group, struct route_edge *edge);
void group_leave(struct member *member);
/* Writes GROUP to the member's edge, once for each relation; relation NULL: what is known without one. */
void member_announce(struct member *member, const struct relation *relation);

/* subs.c */
void subs_arm_all(struct route *route);
void sub_refuse(struct sub *sub, int code, const char *message); /* writes REFUSE and frees it */
void edge_drop_all(struct route_edge *edge);

/* rows.c */
/* Both rows of a change with the columns that are not `visible` taken out, in route->rows. False when they do not fit
 * the relation. */
bool rows_hide(struct route *route, const bool *visible, uint32_t columns,
               struct wire_deliver *head);

/* progress.c */
/* Everything up to here is routed, and outside of transactions also complete. */
void route_reach(struct route *route, const struct wire_position *position);

/* fanout.c */
struct wire_writer *
edge_out(struct route_edge *edge);         /* to write records that belong to no transaction */
void edge_cut(struct route_edge *edge);    /* sends the frame when it is large enough */
void edge_send(struct route_edge *edge);   /* sends the frame at hand, if any */
void edge_forget(struct route_edge *edge); /* takes it out of all lists */
void edge_list_add(struct edge_list *list, struct route_edge *edge);

#endif
