/* cli/main.c - the pgtide command. */
#include "cli/command.h"

int main(int argc, char **argv)
{
    return cli_main(argc - 1, argv + 1);
}
