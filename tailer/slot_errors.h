/* tailer/slot_errors.h - what an error of PostgreSQL means for the slot, and what the operator can do.
 *
 * By SQLSTATE where there is one; a refused connection has only its text, in English unless the server's
 * lc_messages says otherwise (then the advice is missing, nothing else). Pure.
 */
#ifndef PGTIDE_TAILER_SLOT_ERRORS_H
#define PGTIDE_TAILER_SLOT_ERRORS_H

enum slot_error_kind {
    SLOT_ERROR_OTHER,    /* try again */
    SLOT_ERROR_BUSY,     /* another process reads the slot */
    SLOT_ERROR_SPOILT,   /* this slot fails for ever: it must be made again, with a gap */
    SLOT_ERROR_POLICIES, /* so does it with the policies' publication: try again without */
};

struct slot_error {
    enum slot_error_kind kind;
    const char *advice; /* static; "" when there is none */
};

/* `sqlstate` "" or NULL: not known. */
struct slot_error slot_error_classify(const char *sqlstate, const char *message,
                                      const char *publication, const char *policy_publication);

#endif
