/* edge/staticbackend/permission.c - see permission.h. */
#include "edge/staticbackend/permission.h"

#include <string.h>
#include <strings.h>

#include "proto/records.h"

bool sb_has_suffix(struct rt_span repository)
{
    if (repository.len < SB_SUFFIX_LEN) {
        return false;
    }
    const uint8_t *at = repository.data + repository.len - SB_SUFFIX_LEN;
    for (int i = 1; i <= 3; i++) {
        if (at[i] < '0' || at[i] > '9') {
            return false;
        }
    }
    return at[0] == '_' && at[4] == '_';
}

/* 8 and 9 are no sets of three bits. A name with them ends like one with a suffix, so somebody meant to say something: nobody
 * but the owner. */
static bool may_read(uint8_t digit)
{
    return digit <= '7' && ((digit - '0') & 4) != 0;
}

static bool begins_with(struct rt_span text, const char *word)
{
    size_t len = strlen(word);

    return text.len >= len && strncasecmp((const char *)text.data, word, len) == 0;
}

enum sb_level sb_level_of(struct rt_span repository)
{
    const uint8_t *digits = (const uint8_t *)"740";

    if (begins_with(repository, "pub_")) {
        return SB_EVERYONE;
    }
    if (sb_has_suffix(repository)) {
        digits = repository.data + repository.len - SB_SUFFIX_LEN + 1;
    }
    return may_read(digits[2]) ? SB_EVERYONE : (may_read(digits[1]) ? SB_ACCOUNT : SB_OWNER);
}

bool sb_is_repository(struct rt_span name)
{
    if (name.len == 0 || name.len > WIRE_NAME_MAX || begins_with(name, "sb_")) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < 0x20 || name.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

bool sb_is_database_channel(struct rt_span channel, struct rt_span *out_repository)
{
    if (!begins_with(channel, "db-")) {
        return false;
    }
    *out_repository = (struct rt_span){ channel.data + 3, channel.len - 3 };
    return true;
}
