// The section `detect` of the configuration's table.
#ifndef MUSTER_DAEMON_CONFIG_DETECT_FIELDS_H_
#define MUSTER_DAEMON_CONFIG_DETECT_FIELDS_H_

#include <vector>

#include "daemon/config_fields.h"

namespace muster {

// One subsection for each kind of alert, with its mode, its severity and its
// own knobs.
void AppendDetectFields(std::vector<ConfigField>& fields);

}  // namespace muster

#endif  // MUSTER_DAEMON_CONFIG_DETECT_FIELDS_H_
