/* runtime/config_file.c - the YAML file.
 *
 * Read twice, by libyaml's two interfaces: as events, which show what a configuration should not
 * contain (anchors, aliases, tags, several documents, deep nesting) before anything is built from it,
 * and as a document, whose nodes carry their lines. The tree is walked with a stack of our own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "runtime/config_internal.h"
#include "runtime/map.h"

enum { DEPTH_MAX = 8, ENTRIES_MAX = 4096, PATH_SIZE = 256 };

struct file_reader {
    struct rt_config_load *load;
    const char *name;
    yaml_document_t document;
    struct rt_map *seen; /* path to the yaml_node_t of its key */
};

/* A mapping that is being read, its next entry, and the path of its keys. */
struct level {
    const yaml_node_t *mapping;
    const yaml_node_pair_t *next;
    char prefix[PATH_SIZE]; /* "realtime." */
};

static void problem_at(const struct file_reader *reader, size_t line, const char *path,
                       const char *text)
{
    char origin[512];
    (void)snprintf(origin, sizeof(origin), "%s:%zu", reader->name, line + 1);
    rt_config_problem(reader->load, origin, path, "%s", text);
}

/* --- first pass: events --- */

static void report_parser_error(const struct file_reader *reader, const yaml_parser_t *parser)
{
    char text[512];
    bool has_context = parser->context != NULL && parser->context[0] != '\0';
    (void)snprintf(text, sizeof(text), "not valid YAML: %s%s%s",
                   parser->problem != NULL ? parser->problem : "unreadable", has_context ? " " : "",
                   has_context ? parser->context : "");
    size_t line = parser->error == YAML_READER_ERROR ? 0 : parser->problem_mark.line;
    problem_at(reader, line, NULL, text);
}

/* What is wrong with this event in a configuration file, or NULL. */
static const char *objection(const yaml_event_t *event, int depth, int documents)
{
    static const char anchors[] =
        "anchors and aliases (& and *) are not supported; write the value where it is used";
    static const char tags[] = "tags (!…) are not supported; write the plain value";
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (event->type == YAML_ALIAS_EVENT) {
        return anchors;
    }
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    }
    if (anchor != NULL) {
        return anchors;
    }
    if (tag != NULL) {
        return tags;
    }
    if (depth > DEPTH_MAX) {
        return "nested too deeply; options are at most three levels deep";
    }
    return documents > 1 ? "a second document (---) starts here; a configuration is one document"
                         : NULL;
}

static int depth_change(yaml_event_type_t type)
{
    bool start = type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT;
    bool end = type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
    return start ? 1 : end ? -1 : 0;
}

/* Whether the document may be built; adds what is wrong otherwise. Ends at the first objection. */
static bool events_are_fine(const struct file_reader *reader, struct rt_span text)
{
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) {
        abort(); /* out of memory */
    }
    yaml_parser_set_input_string(&parser, text.data, text.len);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    int depth = 0;
    int documents = 0;
    bool fine = true;
    bool more = true;
    while (fine && more) {
        yaml_event_t event;
        if (yaml_parser_parse(&parser, &event) == 0) {
            report_parser_error(reader, &parser);
            fine = false;
            break;
        }
        depth += depth_change(event.type);
        documents += event.type == YAML_DOCUMENT_START_EVENT ? 1 : 0;
        const char *text_of_problem = objection(&event, depth, documents);
        if (text_of_problem != NULL) {
            problem_at(reader, event.start_mark.line, NULL, text_of_problem);
            fine = false;
        }
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return fine;
}

/* --- second pass: the document --- */

static const char *scalar_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* `key:` with nothing behind it, and YAML's words for nothing. */
static bool is_null(const yaml_node_t *node)
{
    const char *text = scalar_text(node);
    return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static void refuse_unknown_key(const struct file_reader *reader, const yaml_node_t *key,
                               const char *path)
{
    struct rt_suggestion suggestion = rt_suggestion_begin(path, strlen(path));
    for (size_t i = 0; i < rt_option_count(); i++) {
        rt_suggestion_offer(&suggestion, rt_options[i].path);
        char group[PATH_SIZE];
        (void)snprintf(group, sizeof(group), "%.*s", (int)strcspn(rt_options[i].path, "."),
                       rt_options[i].path);
        rt_suggestion_offer(&suggestion, group);
    }
    char text[192] = "unknown key";
    rt_suggestion_text(&suggestion, text + strlen(text));
    problem_at(reader, key->start_mark.line, path, text);
}

/* [HS256, HS512] as "HS256,HS512". */
static void read_list(struct file_reader *reader, const struct rt_option *option,
                      const yaml_node_t *list, const char *origin)
{
    struct rt_buf joined = { 0 };
    const char *wrong = option->kind == RT_OPTION_text ? NULL : "needs one value, not a list";
    for (yaml_node_item_t *at = list->data.sequence.items.start;
         at < list->data.sequence.items.top && wrong == NULL; at++) {
        const yaml_node_t *item = yaml_document_get_node(&reader->document, *at);
        if (item->type != YAML_SCALAR_NODE) {
            wrong = "a list may hold plain values only";
        } else if (memchr(scalar_text(item), ',', item->data.scalar.length) != NULL ||
                   is_null(item)) {
            wrong = "an item of a list must not be empty or hold a comma";
        } else {
            rt_buf_puts(&joined, joined.len > 0 ? "," : "");
            rt_buf_append(&joined, scalar_text(item), item->data.scalar.length);
        }
    }
    if (wrong != NULL) {
        rt_config_problem(reader->load, origin, option->path, "%s", wrong);
    } else {
        rt_config_assign(reader->load, option, origin, rt_buf_cstr(&joined), joined.len);
    }
    rt_buf_fini(&joined);
}

static void read_option(struct file_reader *reader, const struct rt_option *option,
                        const yaml_node_t *key, const yaml_node_t *value)
{
    char origin[512];
    (void)snprintf(origin, sizeof(origin), "%s:%zu", reader->name, key->start_mark.line + 1);
    if (value->type == YAML_SEQUENCE_NODE) {
        read_list(reader, option, value, origin);
    } else if (value->type == YAML_MAPPING_NODE) {
        rt_config_problem(reader->load, origin, option->path, "needs a value, not a group of keys");
    } else if (!is_null(value)) {
        rt_config_assign(reader->load, option, origin, scalar_text(value),
                         value->data.scalar.length);
    } else if (option->kind == RT_OPTION_text) {
        rt_config_assign(reader->load, option, origin, "", 0);
    } else {
        rt_config_problem(reader->load, origin, option->path,
                          "has no value; give it %s, or remove the line",
                          rt_value_examples(option->kind));
    }
}

static bool is_duplicate(struct file_reader *reader, yaml_node_t *key, const char *path)
{
    const yaml_node_t *first = rt_map_get(reader->seen, path, strlen(path));
    if (first == NULL) {
        rt_map_put(reader->seen, path, strlen(path), key);
        return false;
    }
    char text[96];
    (void)snprintf(text, sizeof(text), "given twice; the first is in line %zu",
                   first->start_mark.line + 1);
    problem_at(reader, key->start_mark.line, path, text);
    return true;
}

/* Reads one entry; a group of keys is returned in *out_group to be read next. */
static void read_entry(struct file_reader *reader, const struct level *level,
                       const yaml_node_pair_t *pair, struct level *out_group)
{
    yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(&reader->document, pair->value);
    if (key->type != YAML_SCALAR_NODE || strlen(scalar_text(key)) != key->data.scalar.length) {
        problem_at(reader, key->start_mark.line, NULL, "a key must be a plain name");
        return;
    }
    char path[PATH_SIZE];
    int len = snprintf(path, sizeof(path), "%s%s", level->prefix, scalar_text(key));
    if (len >= (int)sizeof(path)) {
        problem_at(reader, key->start_mark.line, NULL, "this key is too long to be an option");
        return;
    }
    for (char *at = path; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ') {
            *at = '?'; /* an error is one line, whatever the key holds */
        }
    }
    if (is_duplicate(reader, key, path)) {
        return;
    }
    const struct rt_option *option = rt_option_find(path, (size_t)len);
    if (option != NULL) {
        read_option(reader, option, key, value);
    } else if (!rt_option_is_group(path, (size_t)len)) {
        refuse_unknown_key(reader, key, path);
    } else if (value->type == YAML_MAPPING_NODE && len + 1 < PATH_SIZE) {
        out_group->mapping = value;
        out_group->next = value->data.mapping.pairs.start;
        memcpy(out_group->prefix, path, (size_t)len);
        memcpy(out_group->prefix + len, ".", 2);
    } else if (value->type != YAML_SCALAR_NODE || !is_null(value)) {
        problem_at(reader, key->start_mark.line, path,
                   "is a group; its keys go below it, indented");
    }
}

/* Depth first, so that messages come in the order of the file's lines. Groups cannot nest deeper than
 * the first pass allows. */
static void read_document(struct file_reader *reader, const yaml_node_t *root)
{
    struct level levels[DEPTH_MAX + 1] = { { .mapping = root,
                                             .next = root->data.mapping.pairs.start } };
    size_t depth = 1;
    size_t entries = 0;
    while (depth > 0 && entries < ENTRIES_MAX) {
        struct level *level = &levels[depth - 1];
        if (level->next >= level->mapping->data.mapping.pairs.top) {
            depth--;
            continue;
        }
        struct level group = { 0 };
        read_entry(reader, level, level->next++, &group);
        entries++;
        if (group.mapping != NULL && depth <= DEPTH_MAX) {
            levels[depth++] = group;
        }
    }
    if (entries == ENTRIES_MAX) {
        rt_config_problem(reader->load, reader->name, NULL,
                          "has too many keys to be a configuration");
    }
}

void rt_config_read_file(struct rt_config_load *load, const char *name, struct rt_span text)
{
    struct file_reader reader = { .load = load, .name = name };
    if (!events_are_fine(&reader, text)) {
        return;
    }
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) {
        abort(); /* out of memory */
    }
    yaml_parser_set_input_string(&parser, text.data, text.len);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    if (yaml_parser_load(&parser, &reader.document) == 0) {
        report_parser_error(&reader, &parser);
        yaml_parser_delete(&parser);
        return;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&reader.document);
    reader.seen = rt_map_new();
    if (root != NULL && root->type == YAML_MAPPING_NODE) {
        read_document(&reader, root);
    } else if (root != NULL && !(root->type == YAML_SCALAR_NODE && is_null(root))) {
        problem_at(&reader, root->start_mark.line, NULL,
                   "a configuration is a mapping: key: value");
    }
    rt_map_free(reader.seen);
    yaml_document_delete(&reader.document);
    yaml_parser_delete(&parser);
}
