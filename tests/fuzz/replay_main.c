/* tests/fuzz/replay_main.c - runs a fuzz target over files, without libFuzzer: for any compiler.
 *
 *     replay_STEM FILE|FOLDER...
 *
 * A folder stands for the regular files directly in it, in the order of their names. Prints the
 * count. A path that cannot be read and an empty corpus are failures: a test that tried nothing
 * proves nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void complain(const char *path)
{
    char reason[128];

    (void)fprintf(stderr, "replay: %s: %s\n", path, strerror_r(errno, reason, sizeof(reason)));
}

static size_t read_whole(FILE *file, uint8_t *data, size_t size)
{
    size_t len = fread(data, 1, size, file);

    return ferror(file) != 0 ? 0 : len;
}

/* The number of inputs run, or -1 after complaining. */
static int run_file(const char *path, const struct stat *info)
{
    size_t size = (size_t)info->st_size;
    uint8_t *data = malloc(size + 1);
    FILE *file = fopen(path, "rb");

    if (data == NULL || file == NULL || read_whole(file, data, size) != size) {
        complain(path);
        if (file != NULL) {
            (void)fclose(file);
        }
        free(data);
        return -1;
    }
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static int run_entry(const char *folder, const char *name)
{
    struct stat info;
    char *path = NULL;
    int ran = -1;

    if (asprintf(&path, "%s/%s", folder, name) < 0) {
        return -1;
    }
    if (stat(path, &info) != 0) {
        complain(path);
    } else {
        ran = S_ISREG(info.st_mode) ? run_file(path, &info) : 0;
    }
    free(path);
    return ran;
}

static int run_folder(const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    int ran = 0;

    if (count < 0) {
        complain(path);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        int more = ran < 0 ? 0 : run_entry(path, entries[i]->d_name);
        ran = more < 0 ? -1 : ran + more;
        free(entries[i]);
    }
    free(entries);
    return ran;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat info;
        if (stat(argv[i], &info) != 0) {
            complain(argv[i]);
            return EXIT_FAILURE;
        }
        int ran = S_ISDIR(info.st_mode) ? run_folder(argv[i]) : run_file(argv[i], &info);
        if (ran < 0) {
            return EXIT_FAILURE;
        }
        total += ran;
    }
    (void)printf("replayed %d inputs\n", total);
    if (total == 0) {
        (void)fprintf(stderr,
                      "replay: an empty corpus: name files, or folders with files in them\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
