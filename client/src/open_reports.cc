#include "client/src/open_reports.h"

#include <cmath>

#include "client/src/gradient_fields.h"
#include "client/src/wire.h"

namespace muster {

OpenReports::TimePoint OpenReports::Advance(TimePoint now) {
  while (Report* report = ring_->PinOpen()) {
    if (!waiting_since_) waiting_since_ = now;
    const bool give_up = now - *waiting_since_ >= kPatience;
    const bool complete = Complete(give_up, report);
    ring_->Unpin();
    if (!complete) return now + kPollInterval;
    // What is given up is in the order of the device's work: so is the rest.
    if (!give_up) waiting_since_ = now;
  }
  waiting_since_.reset();
  return TimePoint::max();
}

bool OpenReports::Complete(bool give_up, Report* report) {
  if (!sketch_) {
    sketch_.emplace(spec_);
    values_.resize(spec_.width);
  }
  OpenPart& open = report->open;
  muster_cuda_result result = {};
  const DeviceSketch::Progress progress =
      device_->Poll(open.ticket, values_.data(), &result);
  if (progress == DeviceSketch::Progress::kNotReady && !give_up) return false;
  if (progress != DeviceSketch::Progress::kReady) result = {};

  // Fields that are appended count as if they had been there from the start.
  muster_v1_StepReport rest = muster_v1_StepReport_init_zero;
  if (result.has_loss) {
    rest.has_loss = true;
    rest.loss = result.loss;
  }
  if (open.scale_on_device) {
    open.scale = result.has_scale ? result.scale : 0;
    rest.has_gradient_scale = std::isfinite(open.scale) && open.scale > 0;
    rest.gradient_scale = open.scale;
  }
  if (open.has_gradient) {
    if (result.has_sums) {
      sketch_->Reset();
      sketch_->AddSums(values_.data(), result.squared_norm,
                       result.nonfinite_count);
      if (!open.host_values.empty()) {
        sketch_->AddSums(open.host_values.data(), open.host_squared_norm,
                         open.host_nonfinite_count);
      }
      SetGradient(*sketch_, open.elements, open.scale, &sketch_bytes_, &rest);
    } else {
      ++status_->device_dropped;
    }
  }
  AppendMessage(muster_v1_StepReport_fields, &rest, &report->bytes);
  open.ticket = 0;
  return true;
}

}  // namespace muster
