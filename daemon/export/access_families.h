// What /metrics says of who may come in.
#ifndef MUSTER_DAEMON_EXPORT_ACCESS_FAMILIES_H_
#define MUSTER_DAEMON_EXPORT_ACCESS_FAMILIES_H_

#include <vector>

#include "daemon/identity/gate.h"
#include "daemon/listen/connection_limit.h"
#include "prometheus/metric_family.h"

namespace muster::exposition {

struct AccessSample {
  identity::GateStats gate;
  // Reachable from other machines without encryption.
  bool grpc_insecure = false;
  bool http_insecure = false;
  // To gRPC's addresses.
  listen::ConnectionStats connections;
};

// One family for each metric.
std::vector<prometheus::MetricFamily> BuildAccessFamilies(
    const AccessSample& access);

}  // namespace muster::exposition

#endif  // MUSTER_DAEMON_EXPORT_ACCESS_FAMILIES_H_
