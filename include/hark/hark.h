/* hark/hark.h - all of hark. */
#ifndef HARK_HARK_H
#define HARK_HARK_H

#include <hark/backend.h>
#include <hark/base.h>
#include <hark/child.h>
#include <hark/handler.h>
#include <hark/io.h>
#include <hark/message.h>
#include <hark/reactor.h>
#include <hark/signal.h>
#include <hark/task.h>
#include <hark/timer.h>
#include <hark/worker.h>

#endif
