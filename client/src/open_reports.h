// Reports that lack what a device still computes.
#ifndef MUSTER_CLIENT_SRC_OPEN_REPORTS_H_
#define MUSTER_CLIENT_SRC_OPEN_REPORTS_H_

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "client/src/client_status.h"
#include "client/src/device_sketch.h"
#include "client/src/report_ring.h"
#include "muster/sketch.h"

namespace muster {

// Completes the ring's open reports, oldest first, as their device gets there.
// Until then neither they nor later ones are sent. Thread-compatible; the
// sender thread owns it.
class OpenReports {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Between looks at a device that is not ready.
  static constexpr std::chrono::milliseconds kPollInterval{5};
  // A device that makes no progress for so long is given up: its reports go
  // without gradient and loss.
  static constexpr std::chrono::seconds kPatience{60};

  // Borrows all.
  OpenReports(const SketchSpec& spec, ReportRing* ring, DeviceSketch* device,
              ClientStatus* status)
      : spec_(spec), ring_(ring), device_(device), status_(status) {}

  // Completes what is ready. Returns when to look again, max() if nothing is
  // open.
  TimePoint Advance(TimePoint now);

 private:
  // True if the report is complete now.
  bool Complete(bool give_up, Report* report);

  const SketchSpec spec_;
  ReportRing* const ring_;
  DeviceSketch* const device_;
  ClientStatus* const status_;
  // Since when the oldest open report has been waited for.
  std::optional<TimePoint> waiting_since_;
  // Made when the first report is open.
  std::optional<Sketch> sketch_;
  std::vector<double> values_;
  std::string sketch_bytes_;
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_OPEN_REPORTS_H_
