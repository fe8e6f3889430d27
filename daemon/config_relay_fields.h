// The configuration's section `relay`, and what relays need beside it: internal
// to the table behind it.
#ifndef MUSTER_DAEMON_CONFIG_RELAY_FIELDS_H_
#define MUSTER_DAEMON_CONFIG_RELAY_FIELDS_H_

#include <vector>

#include "daemon/config_fields.h"

namespace muster {

void AppendSocketMode(std::vector<ConfigField>& fields);
void AppendRelayFields(std::vector<ConfigField>& fields);

}  // namespace muster

#endif  // MUSTER_DAEMON_CONFIG_RELAY_FIELDS_H_
