// Alerts as JSON, for callers across the C ABI.
#ifndef MUSTER_CLIENT_SRC_ALERTS_JSON_H_
#define MUSTER_CLIENT_SRC_ALERTS_JSON_H_

#include <string>
#include <vector>

#include "muster/client.h"

namespace muster {

// A JSON array of objects with the fields of Alert under the same names.
// Numbers that are not finite become null. Independent of the locale.
std::string AlertsToJson(const std::vector<Alert>& alerts);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_ALERTS_JSON_H_
