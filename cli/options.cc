#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/simulation_options.h"
#include "daemon/base/command_pages.h"

namespace muster::cli {
namespace {

constexpr char kDefaultAddress[] = "127.0.0.1:7600";

// What follows the flags in --help.
constexpr char kFooter[] =
    "RUN may be left out where the daemon follows exactly one run; replay "
    "takes\n"
    "all. replay, compare and reference read a file and ask no daemon.\n"
    "Exit codes: 0 fine; 1 not healthy (status --exit-code), or the runs "
    "differ\n"
    "(compare); 2 wrong usage; 3 the daemon cannot be reached.\n"
    "Environment: MUSTER_ADDRESS (daemon), MUSTER_CA_FILE, MUSTER_CERT_FILE,\n"
    "MUSTER_KEY_FILE, MUSTER_TOKEN_FILE (as the flags), NO_COLOR (no colours).";

void AddFiles(CLI::App& app, const EnvironmentLookup& environment,
              identity::ChannelFiles& files) {
  const auto add = [&](const char* flag, const char* variable, const char* help,
                       std::string& path) {
    const char* given = environment(variable);
    if (given != nullptr) path = given;
    app.add_option(flag, path, help)->type_name("FILE");
  };
  add("--ca-file", "MUSTER_CA_FILE",
      "with tls://: whom to trust, in PEM form, not the system's authorities",
      files.ca);
  add("--cert-file", "MUSTER_CERT_FILE", "with tls://: a certificate to show",
      files.certificate);
  add("--key-file", "MUSTER_KEY_FILE", "its key", files.key);
  add("--token-file", "MUSTER_TOKEN_FILE",
      "a token to show, over TLS or on this machine alone", files.token);
}

void AddExport(CLI::App& command, Options& options) {
  const std::map<std::string, ExportFormat> formats = {
      {"csv", ExportFormat::kCsv}, {"jsonl", ExportFormat::kJsonLines}};
  const std::map<std::string, ExportWhat> whats = {
      {"frames", ExportWhat::kFrames},
      {"ranks", ExportWhat::kRanks},
      {"alerts", ExportWhat::kAlerts}};
  command.add_option("--format", options.export_format, "csv or jsonl")
      ->transform(CLI::CheckedTransformer(formats).description(""))
      ->type_name("FORMAT")
      ->default_str("csv");
  command.add_option("--what", options.export_what, "frames, ranks or alerts")
      ->transform(CLI::CheckedTransformer(whats).description(""))
      ->type_name("WHAT")
      ->default_str("frames");
  command.add_option("--from", options.from, "first step")
      ->check(CLI::NonNegativeNumber)
      ->type_name("STEP");
  command.add_option("--to", options.to, "last step")
      ->check(CLI::NonNegativeNumber)
      ->type_name("STEP");
  command.add_option("-o,--output", options.output_file, "file, not stdout")
      ->type_name("FILE");
}

void AddReport(CLI::App& command, Options& options) {
  command
      .add_option("-o,--output", options.output_file,
                  "file to write, - for stdout; RUN.html if not given")
      ->type_name("FILE");
  CLI::Option* reference =
      command
          .add_option("--reference", options.reference,
                      "compare the stored run with this one, as compare does")
          ->type_name("RUN");
  CLI::Option* history =
      command
          .add_option("--history", options.history,
                      "with --reference: file of a musterd with both")
          ->needs(reference)
          ->type_name("FILE");
  reference->needs(history);
  command
      .add_option("--reference-history", options.reference_history,
                  "file with the reference, if it is another one")
      ->needs(reference)
      ->type_name("FILE");
}

void AddVerbs(CLI::App& app, Options& options, SimulationFlags& simulation) {
  const auto add = [&](const char* name, const char* help, Verb verb) {
    CLI::App* command = app.add_subcommand(name, help);
    command->add_option("RUN", options.run, "run id");
    command->callback([&options, verb] { options.verb = verb; });
    return command;
  };
  add("status", "whether the ranks agree, of all runs or of one", Verb::kStatus)
      ->add_flag("--exit-code", options.exit_code,
                 "exit with 1 if a run is not healthy");
  add("runs", "the runs that the daemon follows, with their attempts",
      Verb::kRuns);
  add("ranks", "each rank of a run", Verb::kRanks);
  CLI::App* steps =
      add("steps", "the newest judged steps of a run", Verb::kSteps);
  steps->add_option("--from", options.from, "first step")
      ->check(CLI::NonNegativeNumber)
      ->type_name("STEP");
  steps->add_option("--to", options.to, "last step")
      ->check(CLI::NonNegativeNumber)
      ->type_name("STEP");
  steps->add_option("--limit", options.limit, "at most so many, the newest")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str()
      ->type_name("COUNT");
  CLI::App* alerts =
      add("alerts", "alerts of all runs or of one, firing ones first",
          Verb::kAlerts);
  alerts->add_flag("--firing", options.firing_only, "only those that fire");
  alerts
      ->add_option("--explain", options.explain,
                   "tell one alert in full, and what to look at first")
      ->check(CLI::NonNegativeNumber)
      ->type_name("ID");
  AddExport(*add("export",
                 "all steps of a run, its ranks' values or its alerts, as CSV "
                 "or JSON",
                 Verb::kExport),
            options);
  AddReport(*add("report",
                 "writes a run's verdict, plots, alerts, ranks and facts as "
                 "one HTML file",
                 Verb::kReport),
            options);
  CLI::App* replay = app.add_subcommand(
      "replay",
      "judges the runs of a history again and prints each change of an alert");
  replay->callback([&options] { options.verb = Verb::kReplay; });
  replay->add_option("--history", options.history, "file of a musterd")
      ->required()
      ->type_name("FILE");
  replay->add_option("--run", options.run, "only runs of that id")
      ->type_name("RUN");
  replay
      ->add_option("--config", options.config,
                   "judge under this configuration, not the stored one")
      ->type_name("FILE");
  CLI::App* compare = app.add_subcommand(
      "compare", "tells whether a stored run looks like a reference run");
  compare->callback([&options] { options.verb = Verb::kCompare; });
  compare->add_option("RUN", options.run, "run id")->required();
  compare->add_option("REFERENCE", options.reference, "run id")->required();
  compare->add_option("--history", options.history, "file of a musterd")
      ->required()
      ->type_name("FILE");
  compare
      ->add_option("--reference-history", options.reference_history,
                   "file with the reference, if it is another one")
      ->type_name("FILE");
  CLI::App* reference = app.add_subcommand(
      "reference", "makes a stored run one that others are held against");
  reference->require_subcommand(1);
  CLI::App* save = reference->add_subcommand(
      "save", "writes the file that musterd's key detect.reference names");
  save->callback([&options] { options.verb = Verb::kReferenceSave; });
  save->add_option("RUN", options.run, "run id")->required();
  save->add_option("--history", options.history, "file of a musterd")
      ->required()
      ->type_name("FILE");
  save->add_option("-o,--output", options.output_file, "file to write")
      ->required()
      ->type_name("FILE");
  CLI::App* top = add(
      "top", "follows a run in the terminal: its ranks, the worst one first",
      Verb::kTop);
  top->add_option("--interval", options.top.interval_seconds,
                  "between questions to the daemon")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str()
      ->type_name("SECONDS");
  top->add_option("--sort", options.top.sort, "order of the ranks")
      ->check(
          CLI::IsMember({"deviation", "rank", "loss", "norm", "cosine", "lag"}))
      ->capture_default_str();
  top->add_flag("--once", options.top.once,
                "print what it would show now, and exit");
  top->add_option("--width", options.top.width, "columns of --once")
      ->check(CLI::Range(20, 1000))
      ->type_name("COLUMNS");
  CLI::App& simulate =
      *add("simulate", "sends a synthetic run, for tuning, tests and load",
           Verb::kSimulate);
  simulate
      .add_option("--history", options.history,
                  "judge the run here and store it in this file, which no "
                  "musterd writes, instead of sending it")
      ->type_name("FILE");
  simulate
      .add_option("--config", options.config,
                  "with --history: musterd's configuration to judge under")
      ->type_name("FILE");
  AddSimulationFlags(simulate, simulation);
}

}  // namespace

absl::StatusOr<Options> ParseOptions(int argc, const char* const* argv,
                                     const EnvironmentLookup& environment) {
  Options options;
  const char* address = environment("MUSTER_ADDRESS");
  options.address =
      address != nullptr && *address != '\0' ? address : kDefaultAddress;
  bool version = false;
  CLI::App app("Asks musterd how well the ranks of training runs agree.",
               "muster");
  app.add_option("--address", options.address,
                 "musterd's gRPC address, also tls://HOST:PORT or "
                 "unix:PATH")
      ->capture_default_str()
      ->type_name("HOST:PORT");
  AddFiles(app, environment, options.files);
  app.add_flag("--json", options.json, "print JSON instead of tables");
  app.add_flag("--version", version, "print the version and exit");
  std::string pages;  // hidden: for the build
  app.add_option("--pages", pages)->group("");
  app.footer(kFooter);
  // Lets --json and --address stand behind the verb too.
  app.fallthrough();
  SimulationFlags simulation;
  AddVerbs(app, options, simulation);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const auto verbs = app.get_subcommands();
    options.output = verbs.empty() ? app.help() : verbs[0]->help("muster");
    return options;
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(error.what(), " (see muster --help)"));
  }
  if (!pages.empty()) {
    auto page = CommandPage(app, pages, MUSTER_VERSION);
    if (!page.ok()) return page.status();
    options.output = *std::move(page);
    return options;
  }
  if (version) {
    options.output = absl::StrCat("muster ", MUSTER_VERSION, "\n");
    return options;
  }
  const size_t verbs = app.get_subcommands().size();
  if (verbs != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(verbs == 0 ? "a verb is missing" : "give one verb only",
                     ": status, runs, ranks, steps, alerts, export, report, "
                     "replay, compare, reference, simulate or top"
                     " (see muster --help)"));
  }
  if (options.from && options.to && *options.from > *options.to) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--from is ", *options.from, "; allowed: at most --to, ", *options.to));
  }
  if (options.verb == Verb::kSimulate) {
    auto checked = ToSimulationOptions(simulation);
    if (!checked.ok()) return checked.status();
    options.simulation = *std::move(checked);
    const bool stored = !options.history.empty();
    if (stored && options.simulation.steps_per_second > 0) {
      return absl::InvalidArgumentError(
          "--steps-per-second is for a run that is sent; with --history a step "
          "lasts --step-seconds of its own time");
    }
    if (stored && options.simulation.streams > 1) {
      return absl::InvalidArgumentError(
          "--streams is for a run that is sent, not for one with --history");
    }
    if (!stored && !options.config.empty()) {
      return absl::InvalidArgumentError("--config needs --history");
    }
    if (options.run.empty()) options.run = "simulated";
  }
  return options;
}

}  // namespace muster::cli
