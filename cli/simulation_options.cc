#include "cli/simulation_options.h"

#include <CLI/CLI.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace muster::cli {
namespace {

// As many as a daemon, and one stream, take by default.
constexpr uint32_t kMostRanks = 16384;
constexpr uint32_t kMostRanksOfStream = 4096;

std::string FaultNames() {
  std::string names;
  for (int i = 0; i < simulate::kFaultKindCount; ++i) {
    absl::StrAppend(&names, i == 0 ? "" : ", ",
                    simulate::FaultName(static_cast<simulate::FaultKind>(i)));
  }
  return names;
}

}  // namespace

void AddSimulationFlags(CLI::App& command, SimulationFlags& flags) {
  simulate::Options& model = flags.options.model;
  command.add_option("--steps", flags.options.steps, "optimizer steps to send")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40))
      ->capture_default_str()
      ->type_name("COUNT");
  command
      .add_option("--steps-per-second", flags.options.steps_per_second,
                  "pace; 0 sends as fast as the daemon takes them")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str()
      ->type_name("RATE");
  command
      .add_option("--streams", flags.options.streams,
                  "divide the ranks among so many streams, as relays of so "
                  "many nodes do")
      ->check(CLI::Range(1u, kMostRanks))
      ->capture_default_str()
      ->type_name("COUNT");
  command
      .add_option("--sketch-pool", model.sketch_pool,
                  "draw so many sketches before the start and deal them out "
                  "anew at each step, which is cheap; 0 draws each")
      ->capture_default_str()
      ->type_name("COUNT");
  command.add_option("--seed", model.seed, "of all random numbers")
      ->capture_default_str()
      ->type_name("NUMBER");
  command.add_option("--ranks", model.ranks, "world size")
      ->check(CLI::Range(1u, kMostRanks))
      ->capture_default_str()
      ->type_name("COUNT");
  command
      .add_option("--sketch-width", model.sketch_width,
                  "numbers in a sketch, a power of two; 0 sends none")
      ->capture_default_str()
      ->type_name("WIDTH");
  command.add_option("--tails", flags.tails, "of all noise")
      ->check(CLI::IsMember({"gaussian", "student-t3"}))
      ->capture_default_str();
  command
      .add_option("--weights", flags.weights,
                  "samples of a batch: the same, drawn anew each step, or kept "
                  "by each rank")
      ->check(CLI::IsMember({"equal", "fresh", "fixed"}))
      ->capture_default_str();
  const auto number = [&](const char* name, auto& value, const char* help) {
    command.add_option(name, value, help)
        ->capture_default_str()
        ->type_name("NUMBER");
  };
  number("--loss-start", model.loss_start, "mean loss of the first step");
  number("--loss-end", model.loss_end, "mean loss that training goes to");
  number("--loss-noise", model.loss_noise,
         "standard deviation of a rank's loss, as a share of the mean");
  number("--noise-start", model.noise_start,
         "gradient noise scale of the first step, in batches");
  number("--noise-end", model.noise_end, "noise scale that training goes to");
  number("--noise-steps", model.noise_steps, "steps of most of that way");
  number("--warmup-steps", model.warmup_steps,
         "steps in which the learning rate rises");
  command
      .add_option("--lr-drop", model.lr_drops,
                  "step from which the learning rate is a tenth; repeatable")
      ->type_name("STEP");
  number("--epoch-steps", model.epoch_steps,
         "steps of an epoch over fixed shards; 0: fresh data");
  number("--overflow-every", model.overflow_every,
         "mean steps between overflows of a gradient scaler; 0: none");
  number("--step-seconds", model.step_seconds, "duration that ranks report");
  command.add_flag("--fingerprints", model.fingerprints,
                   "report a replica fingerprint at each step");
  command
      .add_option("--fault", flags.faults,
                  absl::StrCat("KIND:RANK:ONSET[:SIZE[:STEPS]], repeatable; "
                               "KIND is one of ",
                               FaultNames()))
      ->type_name("FAULT");
}

absl::StatusOr<simulate::Fault> ParseFault(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  simulate::Fault fault;
  const auto bad = [&](const std::string& why) {
    return absl::InvalidArgumentError(
        absl::StrCat("--fault '", text, "': ", why,
                     "; allowed is KIND:RANK:ONSET[:SIZE[:STEPS]]"));
  };
  if (parts.size() < 3 || parts.size() > 5) {
    return bad(absl::StrCat("has ", parts.size(), " parts"));
  }
  const auto kind = simulate::ParseFaultKind(parts[0]);
  if (!kind) {
    return bad(absl::StrCat("kind is none of ", FaultNames()));
  }
  fault.kind = *kind;
  if (!absl::SimpleAtoi(parts[1], &fault.rank)) return bad("bad RANK");
  if (!absl::SimpleAtoi(parts[2], &fault.onset)) return bad("bad ONSET");
  if (*kind == simulate::FaultKind::kExponentFlip) fault.size = 30;
  if (parts.size() > 3 && !absl::SimpleAtod(parts[3], &fault.size)) {
    return bad("bad SIZE");
  }
  if (parts.size() > 4 && !absl::SimpleAtoi(parts[4], &fault.steps)) {
    return bad("bad STEPS");
  }
  return fault;
}

absl::StatusOr<SimulationOptions> ToSimulationOptions(
    const SimulationFlags& flags) {
  SimulationOptions options = flags.options;
  if (flags.tails == "student-t3") {
    options.model.tails = simulate::Tails::kStudentT3;
  }
  if (flags.weights == "fresh") {
    options.model.weights = simulate::Weights::kFresh;
  } else if (flags.weights == "fixed") {
    options.model.weights = simulate::Weights::kFixed;
  }
  for (const std::string& text : flags.faults) {
    const auto fault = ParseFault(text);
    if (!fault.ok()) return fault.status();
    options.model.faults.push_back(*fault);
  }
  const std::string error = simulate::Validate(options.model);
  if (!error.empty()) return absl::InvalidArgumentError(error);
  const uint32_t ranks = options.model.ranks;
  const uint32_t fewest = (ranks - 1) / kMostRanksOfStream + 1;
  if (options.streams > ranks || options.streams < fewest) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--streams is ", options.streams, "; allowed for ", ranks,
        " ranks are ", fewest, " … ", ranks, ": a stream carries 1 … ",
        kMostRanksOfStream, " of them"));
  }
  return options;
}

}  // namespace muster::cli
