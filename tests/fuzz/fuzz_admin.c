/* The request parser of the admin port. A request that is accepted lies inside the input, is accepted
 * whatever follows it, and no part of it would have been. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/admin_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static int parse(const uint8_t *data, size_t size, struct rt_admin_request *out)
{
    const char *reason = NULL;
    int status = rt_admin_parse((struct rt_span){ data, size }, out, &reason);
    require(status == 0 || status == 200 || (status >= 400 && status < 600));
    require((reason != NULL) == (status >= 400));
    return status;
}

static void check_path(const uint8_t *data, size_t size, const struct rt_admin_request *request)
{
    require(request->path.len >= 1 && request->path.data >= data);
    require(request->path.data + request->path.len <= data + size);
    require(request->path.data[0] == '/');
    for (size_t i = 0; i < request->path.len; i++) {
        require(request->path.data[i] > ' ' && request->path.data[i] < 0x7f &&
                request->path.data[i] != '?');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    require(exact != NULL);
    if (size > 0) {
        memcpy(exact, data, size);
    }
    struct rt_admin_request request = { 0 };
    int status = parse(exact, size, &request);
    if (status == 200) {
        check_path(exact, size, &request);
    } else {
        require(request.path.data == NULL);
    }
    /* Bytes that arrive one by one are decided at one moment and not differently before it. */
    size_t limit = size < RT_ADMIN_REQUEST_MAX ? size : RT_ADMIN_REQUEST_MAX;
    for (size_t len = 0, decided = 0; len <= limit && decided == 0; len++) {
        struct rt_admin_request part = { 0 };
        int early = parse(exact, len, &part);
        require(early == 0 || early == status);
        decided = early != 0;
        if (early == 200) {
            require(part.path.data == request.path.data && part.path.len == request.path.len);
        }
    }
    free(exact);
    return 0;
}
