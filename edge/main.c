/* edge/main.c - pgtide-edge. */
#include "edge/edge.h"

int main(int argc, char **argv)
{
    return rt_process_main(argc, argv, &edge_tier);
}
