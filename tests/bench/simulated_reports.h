// What the ranks of a simulated run send, for benchmarks of the daemon.
#ifndef MUSTER_TESTS_BENCH_SIMULATED_REPORTS_H_
#define MUSTER_TESTS_BENCH_SIMULATED_REPORTS_H_

#include <cstdint>
#include <vector>

#include "daemon/simulate/generator.h"
#include "muster/v1/telemetry.pb.h"

namespace muster::bench {

// Calls `take` with each message of `batch` reports of one rank, in order of
// steps; source is the rank + 1. `fill(from, report)` adds to each report.
// Requires: `batch` divides `steps`.
template <typename Take, typename Fill>
void SimulateReports(uint32_t ranks, uint32_t steps, uint32_t batch,
                     uint32_t sketch_width, const Take& take,
                     const Fill& fill) {
  simulate::Options options;
  options.ranks = ranks;
  options.sketch_width = sketch_width;
  simulate::Generator generator(options);
  std::vector<v1::ClientMessage> messages(ranks);
  for (uint32_t step = 1; step <= steps; ++step) {
    for (const frames::Report& from : generator.Next().frame.reports) {
      v1::ClientMessage& message = messages[from.rank];
      v1::StepReport& report = *message.mutable_reports()->add_reports();
      report.set_source(from.rank + 1);
      report.set_sequence(from.sequence);
      report.set_step(from.step);
      report.set_loss(*from.loss);
      report.set_weight(*from.weight);
      report.set_gradient_norm(*from.gradient_norm);
      report.set_sketch(from.sketch);
      report.set_elements_observed(from.elements_observed);
      fill(from, report);
      if (step % batch == 0) {
        take(message);
        message.Clear();
      }
    }
  }
}

}  // namespace muster::bench

#endif  // MUSTER_TESTS_BENCH_SIMULATED_REPORTS_H_
