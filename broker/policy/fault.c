/* broker/policy/fault.c - which planted bug is in force. Of test builds only. */
#include "broker/policy/fault.h"

#ifdef PGTIDE_POLICY_FAULTS
enum policy_fault policy_fault_active = POLICY_FAULT_NONE;
#else
/* An empty translation unit is not C. */
extern const int policy_fault_none;
const int policy_fault_none = 0;
#endif
