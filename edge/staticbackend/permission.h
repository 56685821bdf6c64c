/* edge/staticbackend/permission.h - who may see a document, by the name of its repository (seed 004; StaticBackend's permission
 * suffix).
 *
 * A name may end in an underscore, three digits and an underscore: what the owner, the account and everybody may do (4 read,
 * 2 write, 1 execute). Without it: 740. Only the broadest level that may read counts, and the owner's own digit is never
 * looked at: an owner reads what is hers. A name that begins with pub_ is for everybody. Everybody is every authenticated user.
 *
 * Names that begin with sb_ are StaticBackend's own tables (users with their secrets) and are no repositories. Pure.
 */
#ifndef PGTIDE_EDGE_STATICBACKEND_PERMISSION_H
#define PGTIDE_EDGE_STATICBACKEND_PERMISSION_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/buf.h"

enum sb_level { SB_OWNER, SB_ACCOUNT, SB_EVERYONE };

#define SB_SUFFIX_LEN 5u /* "_760_" */

/* Whether the name ends in a permission suffix. */
bool sb_has_suffix(struct rt_span repository);
enum sb_level sb_level_of(struct rt_span repository);
/* 1 to 63 bytes, no control characters, and not one of StaticBackend's own. */
bool sb_is_repository(struct rt_span name);
/* "db-" in front, in any case: a database channel. `out_repository`: the rest. */
bool sb_is_database_channel(struct rt_span channel, struct rt_span *out_repository);

#endif
