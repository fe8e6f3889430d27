#include "daemon/run_options.h"

namespace muster {

runs::RunOptions ToRunOptions(const Config& config) {
  runs::RunOptions options;
  options.assembler = config.frames;
  options.detect = config.detect;
  options.alert = config.alerts;
  options.configuration = ToJudgingYaml(config);
  options.queue_bytes = config.limits.queue_bytes;
  return options;
}

}  // namespace muster
