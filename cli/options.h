// What the `muster` command was asked.
#ifndef MUSTER_CLI_OPTIONS_H_
#define MUSTER_CLI_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cli/export_format.h"
#include "cli/simulation.h"
#include "daemon/identity/channel_files.h"

namespace muster::cli {

enum class Verb {
  kStatus,
  kRuns,
  kRanks,
  kSteps,
  kAlerts,
  kReplay,
  kCompare,
  kReferenceSave,
  kSimulate,
  kExport,
  kReport,
  kTop
};

// What `muster top` was asked.
struct TopFlags {
  double interval_seconds = 1;  // 0.1 … 3600
  std::string sort = "deviation";
  bool once = false;
  uint32_t width = 0;  // columns of --once; 0: those of the terminal, else 120
};

struct Options {
  // Set for --help and --version: print this and exit with 0.
  std::optional<std::string> output;

  Verb verb = Verb::kStatus;
  // HOST:PORT, tls://HOST:PORT or unix:PATH of the daemon.
  std::string address;
  identity::ChannelFiles files;
  bool json = false;
  // Run id; empty where none was given.
  std::string run;
  // status: the exit code tells whether all is well.
  bool exit_code = false;
  // alerts: only those that fire.
  bool firing_only = false;
  // alerts: tell this one in full.
  std::optional<uint64_t> explain;
  // steps: from … to, both included, at most `limit` of the newest.
  std::optional<uint64_t> from;
  std::optional<uint64_t> to;
  uint32_t limit = 20;
  // replay, compare, report, reference save: the history's file. simulate:
  // where to store the run; empty where it is sent.
  std::string history;
  // replay: a configuration to judge under instead of the stored one;
  // simulate: instead of the default; empty where none was given.
  std::string config;
  // compare, report: run id, and its file where that is not `history`. For a
  // report empty where it is compared with nothing.
  std::string reference;
  std::string reference_history;
  // reference save, export: empty for stdout. report: empty for RUN.html, "-"
  // for stdout.
  std::string output_file;
  // export
  ExportFormat export_format = ExportFormat::kCsv;
  ExportWhat export_what = ExportWhat::kFrames;
  SimulationOptions simulation;  // simulate
  TopFlags top;
};

using EnvironmentLookup = std::function<const char*(const char* name)>;

// Flags beat MUSTER_ADDRESS, which beats 127.0.0.1:7600, and MUSTER_CA_FILE,
// MUSTER_CERT_FILE, MUSTER_KEY_FILE and MUSTER_TOKEN_FILE. An error is one line
// about wrong usage.
absl::StatusOr<Options> ParseOptions(int argc, const char* const* argv,
                                     const EnvironmentLookup& environment);

}  // namespace muster::cli

#endif  // MUSTER_CLI_OPTIONS_H_
