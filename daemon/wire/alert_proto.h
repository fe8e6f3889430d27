// The wire form of an alert, for ranks and for people alike.
#ifndef MUSTER_DAEMON_WIRE_ALERT_PROTO_H_
#define MUSTER_DAEMON_WIRE_ALERT_PROTO_H_

#include <string>

#include "daemon/alert/alert.h"
#include "muster/v1/telemetry.pb.h"

namespace muster::wire {

// As ranks see it: without the pieces of evidence and without what to look at
// first.
v1::Alert ToProto(const std::string& run, const alert::Alert& alert);

// As people see it: with everything.
v1::Alert ToFullProto(const std::string& run, const alert::Alert& alert);

}  // namespace muster::wire

#endif  // MUSTER_DAEMON_WIRE_ALERT_PROTO_H_
