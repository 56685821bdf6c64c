/* edge/list.h - an intrusive list in which an element can be taken out without a search.
 *
 * The node is embedded in the element; a node with prev NULL is in no list. All O(1).
 */
#ifndef PGTIDE_EDGE_LIST_H
#define PGTIDE_EDGE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *prev;
    struct list_node *next;
};

/* The element that contains a node. */
#define LIST_ELEMENT(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Walks the nodes `at` of a list; the one at hand may be removed and freed. */
#define LIST_EACH(at, after, head)                                                                 \
    for (struct list_node * (at) = (head)->next, *(after) = (at)->next; (at) != (head);            \
         (at) = (after), (after) = (at)->next)

static inline void list_init(struct list_node *head)
{
    head->prev = head;
    head->next = head;
}

static inline bool list_is_empty(const struct list_node *head)
{
    return head->next == head;
}

static inline bool list_contains_node(const struct list_node *node)
{
    return node->prev != NULL;
}

static inline void list_append(struct list_node *head, struct list_node *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Resting is fine. */
static inline void list_remove(struct list_node *node)
{
    if (node->prev != NULL) {
        node->prev->next = node->next;
        node->next->prev = node->prev;
        node->prev = NULL;
        node->next = NULL;
    }
}

/* The first element, taken out; NULL when empty. */
static inline struct list_node *list_pop(struct list_node *head)
{
    struct list_node *node = head->next;

    if (node == head) {
        return NULL;
    }
    head->next = node->next;
    head->next->prev = head;
    node->prev = NULL;
    node->next = NULL;
    return node;
}

#endif
