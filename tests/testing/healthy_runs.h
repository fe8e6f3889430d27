// The healthy runs on which false alarms are counted.
#ifndef MUSTER_TESTS_TESTING_HEALTHY_RUNS_H_
#define MUSTER_TESTS_TESTING_HEALTHY_RUNS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/detect/detector.h"
#include "daemon/simulate/options.h"

namespace muster::testing {

struct HealthyCase {
  std::string name;
  simulate::Options options;
  detect::DetectOptions detect;
  uint64_t steps = 20'000;  // of one run
};

// Eight kinds, of 8 ranks without sketches unless changed.
inline std::vector<HealthyCase> HealthyCases() {
  std::vector<HealthyCase> cases(8);
  cases[0].name = "gaussian";

  // So small that no value is many times another: the gross rule promises
  // nothing for t(3).
  cases[1].name = "student_t3";
  cases[1].options.tails = simulate::Tails::kStudentT3;
  cases[1].options.loss_noise = 5e-4;
  cases[1].options.effective_dimension = 1e6;

  // The cosine falls from 0.84 to 0.05.
  cases[2].name = "growing_noise_scale";
  cases[2].options.noise_start = 0.19;
  cases[2].options.noise_end = 20;
  cases[2].options.noise_steps = 200;
  cases[2].steps = 2000;

  cases[3].name = "weights_fresh";
  cases[3].options.weights = simulate::Weights::kFresh;

  cases[4].name = "weights_fixed";
  cases[4].options.weights = simulate::Weights::kFixed;

  // 20 epochs.
  cases[5].name = "fixed_shards";
  cases[5].options.epoch_steps = 100;
  cases[5].detect.rank_outlier.margin = 0.5;
  cases[5].steps = 2000;

  cases[6].name = "learning_rate";
  cases[6].options.warmup_steps = 100;
  cases[6].options.lr_drops = {1000, 1500};
  cases[6].steps = 2000;

  cases[7].name = "scaler_overflows";
  cases[7].options.overflow_every = 500;
  return cases;
}

}  // namespace muster::testing

#endif  // MUSTER_TESTS_TESTING_HEALTHY_RUNS_H_
