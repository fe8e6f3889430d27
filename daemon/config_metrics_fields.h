// The configuration's section `metrics`: internal to the table behind it.
#ifndef MUSTER_DAEMON_CONFIG_METRICS_FIELDS_H_
#define MUSTER_DAEMON_CONFIG_METRICS_FIELDS_H_

#include <vector>

#include "daemon/config_fields.h"

namespace muster {

void AppendMetricsFields(std::vector<ConfigField>& fields);

}  // namespace muster

#endif  // MUSTER_DAEMON_CONFIG_METRICS_FIELDS_H_
