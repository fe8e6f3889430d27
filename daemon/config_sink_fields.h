// The section `sinks` of the configuration's table.
#ifndef MUSTER_DAEMON_CONFIG_SINK_FIELDS_H_
#define MUSTER_DAEMON_CONFIG_SINK_FIELDS_H_

#include <vector>

#include "daemon/config_fields.h"

namespace muster {

// Links, and one list of receivers for each kind of sink.
void AppendSinkFields(std::vector<ConfigField>& fields);

}  // namespace muster

#endif  // MUSTER_DAEMON_CONFIG_SINK_FIELDS_H_
