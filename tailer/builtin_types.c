/* tailer/builtin_types.c - see builtin_types.h.
 *
 * Made from pg_type of PostgreSQL 15 (base, range and multirange types with a fixed oid); these oids never
 * change. What jsonb_build_object and to_jsonb treat as numbers are the six types marked so: oid, xid
 * and money become JSON strings.
 */
#include "tailer/builtin_types.h"

#include "proto/records.h"

/* Sorted by oid. */
static const struct builtin_type types[] = {
    { 16, 0, WIRE_SHAPE_BOOL, ',' },          /* bool */
    { 17, 0, WIRE_SHAPE_TEXT, ',' },          /* bytea */
    { 18, 0, WIRE_SHAPE_TEXT, ',' },          /* char */
    { 19, 0, WIRE_SHAPE_TEXT, ',' },          /* name */
    { 20, 0, WIRE_SHAPE_NUMBER, ',' },        /* int8 */
    { 21, 0, WIRE_SHAPE_NUMBER, ',' },        /* int2 */
    { 22, 21, WIRE_SHAPE_VECTOR, ',' },       /* int2vector */
    { 23, 0, WIRE_SHAPE_NUMBER, ',' },        /* int4 */
    { 24, 0, WIRE_SHAPE_TEXT, ',' },          /* regproc */
    { 25, 0, WIRE_SHAPE_TEXT, ',' },          /* text */
    { 26, 0, WIRE_SHAPE_TEXT, ',' },          /* oid */
    { 27, 0, WIRE_SHAPE_TEXT, ',' },          /* tid */
    { 28, 0, WIRE_SHAPE_TEXT, ',' },          /* xid */
    { 29, 0, WIRE_SHAPE_TEXT, ',' },          /* cid */
    { 30, 26, WIRE_SHAPE_VECTOR, ',' },       /* oidvector */
    { 114, 0, WIRE_SHAPE_JSON, ',' },         /* json */
    { 142, 0, WIRE_SHAPE_TEXT, ',' },         /* xml */
    { 143, 142, WIRE_SHAPE_ARRAY, ',' },      /* _xml */
    { 194, 0, WIRE_SHAPE_TEXT, ',' },         /* pg_node_tree */
    { 199, 114, WIRE_SHAPE_ARRAY, ',' },      /* _json */
    { 271, 5069, WIRE_SHAPE_ARRAY, ',' },     /* _xid8 */
    { 600, 0, WIRE_SHAPE_TEXT, ',' },         /* point */
    { 601, 0, WIRE_SHAPE_TEXT, ',' },         /* lseg */
    { 602, 0, WIRE_SHAPE_TEXT, ',' },         /* path */
    { 603, 0, WIRE_SHAPE_TEXT, ',' },         /* box */
    { 604, 0, WIRE_SHAPE_TEXT, ',' },         /* polygon */
    { 628, 0, WIRE_SHAPE_TEXT, ',' },         /* line */
    { 629, 628, WIRE_SHAPE_ARRAY, ',' },      /* _line */
    { 650, 0, WIRE_SHAPE_TEXT, ',' },         /* cidr */
    { 651, 650, WIRE_SHAPE_ARRAY, ',' },      /* _cidr */
    { 700, 0, WIRE_SHAPE_NUMBER, ',' },       /* float4 */
    { 701, 0, WIRE_SHAPE_NUMBER, ',' },       /* float8 */
    { 718, 0, WIRE_SHAPE_TEXT, ',' },         /* circle */
    { 719, 718, WIRE_SHAPE_ARRAY, ',' },      /* _circle */
    { 774, 0, WIRE_SHAPE_TEXT, ',' },         /* macaddr8 */
    { 775, 774, WIRE_SHAPE_ARRAY, ',' },      /* _macaddr8 */
    { 790, 0, WIRE_SHAPE_TEXT, ',' },         /* money */
    { 791, 790, WIRE_SHAPE_ARRAY, ',' },      /* _money */
    { 829, 0, WIRE_SHAPE_TEXT, ',' },         /* macaddr */
    { 869, 0, WIRE_SHAPE_TEXT, ',' },         /* inet */
    { 1000, 16, WIRE_SHAPE_ARRAY, ',' },      /* _bool */
    { 1001, 17, WIRE_SHAPE_ARRAY, ',' },      /* _bytea */
    { 1002, 18, WIRE_SHAPE_ARRAY, ',' },      /* _char */
    { 1003, 19, WIRE_SHAPE_ARRAY, ',' },      /* _name */
    { 1005, 21, WIRE_SHAPE_ARRAY, ',' },      /* _int2 */
    { 1006, 22, WIRE_SHAPE_ARRAY, ',' },      /* _int2vector */
    { 1007, 23, WIRE_SHAPE_ARRAY, ',' },      /* _int4 */
    { 1008, 24, WIRE_SHAPE_ARRAY, ',' },      /* _regproc */
    { 1009, 25, WIRE_SHAPE_ARRAY, ',' },      /* _text */
    { 1010, 27, WIRE_SHAPE_ARRAY, ',' },      /* _tid */
    { 1011, 28, WIRE_SHAPE_ARRAY, ',' },      /* _xid */
    { 1012, 29, WIRE_SHAPE_ARRAY, ',' },      /* _cid */
    { 1013, 30, WIRE_SHAPE_ARRAY, ',' },      /* _oidvector */
    { 1014, 1042, WIRE_SHAPE_ARRAY, ',' },    /* _bpchar */
    { 1015, 1043, WIRE_SHAPE_ARRAY, ',' },    /* _varchar */
    { 1016, 20, WIRE_SHAPE_ARRAY, ',' },      /* _int8 */
    { 1017, 600, WIRE_SHAPE_ARRAY, ',' },     /* _point */
    { 1018, 601, WIRE_SHAPE_ARRAY, ',' },     /* _lseg */
    { 1019, 602, WIRE_SHAPE_ARRAY, ',' },     /* _path */
    { 1020, 603, WIRE_SHAPE_ARRAY, ';' },     /* _box */
    { 1021, 700, WIRE_SHAPE_ARRAY, ',' },     /* _float4 */
    { 1022, 701, WIRE_SHAPE_ARRAY, ',' },     /* _float8 */
    { 1027, 604, WIRE_SHAPE_ARRAY, ',' },     /* _polygon */
    { 1028, 26, WIRE_SHAPE_ARRAY, ',' },      /* _oid */
    { 1033, 0, WIRE_SHAPE_TEXT, ',' },        /* aclitem */
    { 1034, 1033, WIRE_SHAPE_ARRAY, ',' },    /* _aclitem */
    { 1040, 829, WIRE_SHAPE_ARRAY, ',' },     /* _macaddr */
    { 1041, 869, WIRE_SHAPE_ARRAY, ',' },     /* _inet */
    { 1042, 0, WIRE_SHAPE_TEXT, ',' },        /* bpchar */
    { 1043, 0, WIRE_SHAPE_TEXT, ',' },        /* varchar */
    { 1082, 0, WIRE_SHAPE_DATE, ',' },        /* date */
    { 1083, 0, WIRE_SHAPE_TEXT, ',' },        /* time */
    { 1114, 0, WIRE_SHAPE_TIMESTAMP, ',' },   /* timestamp */
    { 1115, 1114, WIRE_SHAPE_ARRAY, ',' },    /* _timestamp */
    { 1182, 1082, WIRE_SHAPE_ARRAY, ',' },    /* _date */
    { 1183, 1083, WIRE_SHAPE_ARRAY, ',' },    /* _time */
    { 1184, 0, WIRE_SHAPE_TIMESTAMPTZ, ',' }, /* timestamptz */
    { 1185, 1184, WIRE_SHAPE_ARRAY, ',' },    /* _timestamptz */
    { 1186, 0, WIRE_SHAPE_TEXT, ',' },        /* interval */
    { 1187, 1186, WIRE_SHAPE_ARRAY, ',' },    /* _interval */
    { 1231, 1700, WIRE_SHAPE_ARRAY, ',' },    /* _numeric */
    { 1266, 0, WIRE_SHAPE_TEXT, ',' },        /* timetz */
    { 1270, 1266, WIRE_SHAPE_ARRAY, ',' },    /* _timetz */
    { 1560, 0, WIRE_SHAPE_TEXT, ',' },        /* bit */
    { 1561, 1560, WIRE_SHAPE_ARRAY, ',' },    /* _bit */
    { 1562, 0, WIRE_SHAPE_TEXT, ',' },        /* varbit */
    { 1563, 1562, WIRE_SHAPE_ARRAY, ',' },    /* _varbit */
    { 1700, 0, WIRE_SHAPE_NUMBER, ',' },      /* numeric */
    { 1790, 0, WIRE_SHAPE_TEXT, ',' },        /* refcursor */
    { 2201, 1790, WIRE_SHAPE_ARRAY, ',' },    /* _refcursor */
    { 2202, 0, WIRE_SHAPE_TEXT, ',' },        /* regprocedure */
    { 2203, 0, WIRE_SHAPE_TEXT, ',' },        /* regoper */
    { 2204, 0, WIRE_SHAPE_TEXT, ',' },        /* regoperator */
    { 2205, 0, WIRE_SHAPE_TEXT, ',' },        /* regclass */
    { 2206, 0, WIRE_SHAPE_TEXT, ',' },        /* regtype */
    { 2207, 2202, WIRE_SHAPE_ARRAY, ',' },    /* _regprocedure */
    { 2208, 2203, WIRE_SHAPE_ARRAY, ',' },    /* _regoper */
    { 2209, 2204, WIRE_SHAPE_ARRAY, ',' },    /* _regoperator */
    { 2210, 2205, WIRE_SHAPE_ARRAY, ',' },    /* _regclass */
    { 2211, 2206, WIRE_SHAPE_ARRAY, ',' },    /* _regtype */
    { 2949, 2970, WIRE_SHAPE_ARRAY, ',' },    /* _txid_snapshot */
    { 2950, 0, WIRE_SHAPE_TEXT, ',' },        /* uuid */
    { 2951, 2950, WIRE_SHAPE_ARRAY, ',' },    /* _uuid */
    { 2970, 0, WIRE_SHAPE_TEXT, ',' },        /* txid_snapshot */
    { 3220, 0, WIRE_SHAPE_TEXT, ',' },        /* pg_lsn */
    { 3221, 3220, WIRE_SHAPE_ARRAY, ',' },    /* _pg_lsn */
    { 3361, 0, WIRE_SHAPE_TEXT, ',' },        /* pg_ndistinct */
    { 3402, 0, WIRE_SHAPE_TEXT, ',' },        /* pg_dependencies */
    { 3614, 0, WIRE_SHAPE_TEXT, ',' },        /* tsvector */
    { 3615, 0, WIRE_SHAPE_TEXT, ',' },        /* tsquery */
    { 3642, 0, WIRE_SHAPE_TEXT, ',' },        /* gtsvector */
    { 3643, 3614, WIRE_SHAPE_ARRAY, ',' },    /* _tsvector */
    { 3644, 3642, WIRE_SHAPE_ARRAY, ',' },    /* _gtsvector */
    { 3645, 3615, WIRE_SHAPE_ARRAY, ',' },    /* _tsquery */
    { 3734, 0, WIRE_SHAPE_TEXT, ',' },        /* regconfig */
    { 3735, 3734, WIRE_SHAPE_ARRAY, ',' },    /* _regconfig */
    { 3769, 0, WIRE_SHAPE_TEXT, ',' },        /* regdictionary */
    { 3770, 3769, WIRE_SHAPE_ARRAY, ',' },    /* _regdictionary */
    { 3802, 0, WIRE_SHAPE_JSON, ',' },        /* jsonb */
    { 3807, 3802, WIRE_SHAPE_ARRAY, ',' },    /* _jsonb */
    { 3904, 0, WIRE_SHAPE_TEXT, ',' },        /* int4range */
    { 3905, 3904, WIRE_SHAPE_ARRAY, ',' },    /* _int4range */
    { 3906, 0, WIRE_SHAPE_TEXT, ',' },        /* numrange */
    { 3907, 3906, WIRE_SHAPE_ARRAY, ',' },    /* _numrange */
    { 3908, 0, WIRE_SHAPE_TEXT, ',' },        /* tsrange */
    { 3909, 3908, WIRE_SHAPE_ARRAY, ',' },    /* _tsrange */
    { 3910, 0, WIRE_SHAPE_TEXT, ',' },        /* tstzrange */
    { 3911, 3910, WIRE_SHAPE_ARRAY, ',' },    /* _tstzrange */
    { 3912, 0, WIRE_SHAPE_TEXT, ',' },        /* daterange */
    { 3913, 3912, WIRE_SHAPE_ARRAY, ',' },    /* _daterange */
    { 3926, 0, WIRE_SHAPE_TEXT, ',' },        /* int8range */
    { 3927, 3926, WIRE_SHAPE_ARRAY, ',' },    /* _int8range */
    { 4072, 0, WIRE_SHAPE_TEXT, ',' },        /* jsonpath */
    { 4073, 4072, WIRE_SHAPE_ARRAY, ',' },    /* _jsonpath */
    { 4089, 0, WIRE_SHAPE_TEXT, ',' },        /* regnamespace */
    { 4090, 4089, WIRE_SHAPE_ARRAY, ',' },    /* _regnamespace */
    { 4096, 0, WIRE_SHAPE_TEXT, ',' },        /* regrole */
    { 4097, 4096, WIRE_SHAPE_ARRAY, ',' },    /* _regrole */
    { 4191, 0, WIRE_SHAPE_TEXT, ',' },        /* regcollation */
    { 4192, 4191, WIRE_SHAPE_ARRAY, ',' },    /* _regcollation */
    { 4451, 0, WIRE_SHAPE_TEXT, ',' },        /* int4multirange */
    { 4532, 0, WIRE_SHAPE_TEXT, ',' },        /* nummultirange */
    { 4533, 0, WIRE_SHAPE_TEXT, ',' },        /* tsmultirange */
    { 4534, 0, WIRE_SHAPE_TEXT, ',' },        /* tstzmultirange */
    { 4535, 0, WIRE_SHAPE_TEXT, ',' },        /* datemultirange */
    { 4536, 0, WIRE_SHAPE_TEXT, ',' },        /* int8multirange */
    { 4600, 0, WIRE_SHAPE_TEXT, ',' },        /* pg_brin_bloom_summary */
    { 4601, 0, WIRE_SHAPE_TEXT, ',' },        /* pg_brin_minmax_multi_summary */
    { 5017, 0, WIRE_SHAPE_TEXT, ',' },        /* pg_mcv_list */
    { 5038, 0, WIRE_SHAPE_TEXT, ',' },        /* pg_snapshot */
    { 5039, 5038, WIRE_SHAPE_ARRAY, ',' },    /* _pg_snapshot */
    { 5069, 0, WIRE_SHAPE_TEXT, ',' },        /* xid8 */
    { 6150, 4451, WIRE_SHAPE_ARRAY, ',' },    /* _int4multirange */
    { 6151, 4532, WIRE_SHAPE_ARRAY, ',' },    /* _nummultirange */
    { 6152, 4533, WIRE_SHAPE_ARRAY, ',' },    /* _tsmultirange */
    { 6153, 4534, WIRE_SHAPE_ARRAY, ',' },    /* _tstzmultirange */
    { 6155, 4535, WIRE_SHAPE_ARRAY, ',' },    /* _datemultirange */
    { 6157, 4536, WIRE_SHAPE_ARRAY, ',' },    /* _int8multirange */
};

const struct builtin_type *builtin_type(uint32_t oid)
{
    size_t low = 0;
    size_t high = sizeof(types) / sizeof(types[0]);

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (types[middle].oid == oid) {
            return &types[middle];
        }
        if (types[middle].oid < oid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}
