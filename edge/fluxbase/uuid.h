/* edge/fluxbase/uuid.h - random identifiers, version 4 (RFC 4122 4.4). */
#ifndef PGTIDE_EDGE_FLUXBASE_UUID_H
#define PGTIDE_EDGE_FLUXBASE_UUID_H

#define FLUXBASE_UUID_SIZE 37

void fluxbase_uuid(char out[FLUXBASE_UUID_SIZE]);

#endif
