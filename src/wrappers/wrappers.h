/* wrappers.h - the wrappers that are built in. They use hark/backend.h, as one from outside would,
 * and of the library's inside no more than the environment's twin in sys/sys.h. */
#ifndef HARK_WRAPPERS_H
#define HARK_WRAPPERS_H

#include <hark/backend.h>

extern const struct hark_backend hark__trace;
extern const struct hark_backend hark__chaos;
extern const struct hark_backend hark__virtual;

#endif
