#include "daemon/config_metrics_fields.h"

#include "daemon/config_field_types.h"

namespace muster {

void AppendMetricsFields(std::vector<ConfigField>& fields) {
  fields.push_back(
      Duration("metrics.keep_ended",
               "How long an ended run keeps its series, so that a last scrape "
               "sees its end; no longer than keep_ended.",
               MUSTER_MEMBER(metrics_keep_ended), absl::ZeroDuration(),
               absl::Hours(24 * 365)));
}

}  // namespace muster
