#include "cli/simulation.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/simulation_stream.h"
#include "daemon/alert/json.h"
#include "daemon/identity/channel.h"
#include "daemon/ingest/metadata.h"
#include "daemon/simulate/generator.h"
#include "grpcpp/grpcpp.h"
#include "muster/v1/telemetry.pb.h"

namespace muster::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Well below the 1 MiB that a message may have.
constexpr size_t kMessageBytes = size_t{512} << 10;

void ToProto(const frames::Report& from, uint32_t source,
             v1::StepReport& report) {
  report.set_source(source);
  report.set_sequence(from.sequence);
  report.set_step(from.step);
  report.set_loss(*from.loss);
  report.set_weight(*from.weight);
  if (from.gradient_norm) report.set_gradient_norm(*from.gradient_norm);
  report.set_sketch(from.sketch);
  report.set_nonfinite_count(from.nonfinite_count);
  report.set_elements_observed(from.elements_observed);
  report.set_step_duration_seconds(*from.step_duration_seconds);
  report.set_learning_rate(*from.learning_rate);
  if (from.replica_fingerprint) {
    report.set_replica_fingerprint(*from.replica_fingerprint);
  }
  if (from.gradient_scale) report.set_gradient_scale(*from.gradient_scale);
}

bool SayHello(SimulationStream& stream, const std::string& run,
              const simulate::Options& model, const std::string& host) {
  std::random_device random;
  for (uint32_t rank = stream.first_rank(); rank < stream.end_rank(); ++rank) {
    v1::ClientMessage message;
    v1::Hello& hello = *message.mutable_hello();
    hello.set_source(rank - stream.first_rank() + 1);
    hello.set_run(run);
    hello.set_rank(rank);
    hello.set_world_size(model.ranks);
    hello.set_incarnation(uint64_t{random()} << 32 | random() | 1);
    hello.mutable_sketch()->set_version(1);
    hello.mutable_sketch()->set_width(StatedWidth(model));
    hello.set_host(host);
    hello.set_pid(static_cast<uint32_t>(::getpid()));
    if (!stream.Write(std::move(message))) return false;
  }
  return true;
}

// All streams of the run, one after another; ranks go up with them.
class Streams {
 public:
  // A run of one stream has no relays, one of several has a relay on a
  // connection of its own before each.
  absl::Status Open(const std::string& address,
                    const identity::ChannelTarget& target,
                    const identity::ChannelFiles& files,
                    const SimulationOptions& options,
                    SimulationAnswers& answers) {
    std::random_device random;
    const uint64_t ranks = options.model.ranks;
    for (uint32_t i = 0; i < options.streams; ++i) {
      auto stream = std::make_unique<SimulationStream>(
          static_cast<uint32_t>(ranks * i / options.streams),
          static_cast<uint32_t>(ranks * (i + 1) / options.streams), answers);
      absl::Status shown = identity::AddToken(files, stream->context());
      if (!shown.ok()) return shown;
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      const auto channel = grpc::CreateCustomChannel(
          target.target, target.credentials, arguments);
      if (i == 0 &&
          !channel->WaitForConnected(std::chrono::system_clock::now() +
                                     std::chrono::seconds(5))) {
        return absl::UnavailableError(
            absl::StrCat("cannot reach musterd at ", address));
      }
      if (options.streams > 1) {
        stream->context().AddMetadata(
            ingest::kViaKey,
            absl::StrCat(absl::Hex(random(), absl::kZeroPad8),
                         absl::Hex(random(), absl::kZeroPad8)));
      }
      stream->Start(channel);
      streams_.push_back(std::move(stream));
    }
    return absl::OkStatus();
  }

  bool SayHello(const std::string& run, const simulate::Options& model) {
    char host[256] = "";
    ::gethostname(host, sizeof(host) - 1);
    for (size_t i = 0; i < streams_.size(); ++i) {
      const std::string node =
          streams_.size() == 1 ? host : absl::StrCat(host, "-", i);
      if (!cli::SayHello(*streams_[i], run, model, node)) return false;
    }
    return true;
  }

  // What a stream has to say about a step travels together.
  bool SendStep(const frames::Frame& frame) {
    auto report = frame.reports.begin();
    for (const auto& stream : streams_) {
      v1::ClientMessage message;
      size_t bytes = 0;
      for (; report != frame.reports.end() && report->rank < stream->end_rank();
           ++report) {
        ToProto(*report, report->rank - stream->first_rank() + 1,
                *message.mutable_reports()->add_reports());
        bytes += 128 + report->sketch.size();
        if (bytes < kMessageBytes) continue;
        if (!stream->Write(std::exchange(message, {}))) return false;
        bytes = 0;
      }
      if (bytes > 0 && !stream->Write(std::move(message))) return false;
    }
    return true;
  }

  // Of ranks that live to the end.
  bool SayGoodbye(const frames::Frame& last) {
    auto report = last.reports.begin();
    for (const auto& stream : streams_) {
      for (; report != last.reports.end() && report->rank < stream->end_rank();
           ++report) {
        v1::ClientMessage message;
        v1::Goodbye& goodbye = *message.mutable_goodbye();
        goodbye.set_source(report->rank - stream->first_rank() + 1);
        goodbye.set_reason("closed");
        if (!stream->Write(std::move(message))) return false;
      }
    }
    return true;
  }

  // The first error that the daemon ended a stream with; empty if none.
  std::string Finish(bool all_said) {
    std::string error;
    for (const auto& stream : streams_) {
      const grpc::Status ended = stream->Finish(all_said);
      // Ours, of a stream that was well until we gave up.
      const bool cancelled = ended.error_code() == grpc::CANCELLED;
      if (error.empty() && !cancelled) error = ended.error_message();
    }
    return error;
  }

 private:
  std::vector<std::unique_ptr<SimulationStream>> streams_;
};

// Everything between the first write and the last answer.
absl::Status Converse(Streams& streams, const std::string& run,
                      const SimulationOptions& options,
                      SimulationAnswers& answers, SimulationSummary& summary) {
  absl::Status broken = absl::UnavailableError(
      "a stream broke, or there was no answer for a minute");
  simulate::Generator generator(options.model);
  if (!streams.SayHello(run, options.model)) return broken;
  if (!answers.WaitForWelcome()) {
    answers.Fill(summary);
    return summary.refused > 0 ? absl::FailedPreconditionError(absl::StrCat(
                                     "musterd refused: ", summary.refusal))
                               : broken;
  }
  const auto start = Clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const frames::Frame* frame = nullptr;
  for (; summary.steps < options.steps; ++summary.steps) {
    frame = &generator.Next().frame;
    if (options.steps_per_second > 0) {
      const std::chrono::duration<double> due(
          static_cast<double>(summary.steps) / options.steps_per_second);
      std::this_thread::sleep_until(
          start + std::chrono::duration_cast<Clock::duration>(due));
      summary.behind_seconds =
          std::max(summary.behind_seconds, seconds() - due.count());
    }
    answers.Expect(*frame);
    if (!streams.SendStep(*frame)) return broken;
    summary.reports += frame->reports.size();
  }
  if (!answers.WaitForSettled()) return broken;
  summary.seconds = seconds();
  if (frame != nullptr && !streams.SayGoodbye(*frame)) return broken;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SimulationSummary> Simulate(const std::string& address,
                                           const identity::ChannelFiles& files,
                                           const std::string& run,
                                           const SimulationOptions& options) {
  const auto target = identity::PrepareChannel(address, files);
  if (!target.ok()) return target.status();
  SimulationAnswers answers(options.model.ranks);
  Streams streams;
  SimulationSummary summary;
  summary.run = run;
  const absl::Status opened =
      streams.Open(address, *target, files, options, answers);
  const absl::Status said =
      opened.ok() ? Converse(streams, run, options, answers, summary) : opened;
  const std::string ended = streams.Finish(said.ok());
  if (!opened.ok()) return opened;
  if (absl::IsUnavailable(said)) {
    return absl::UnavailableError(absl::StrCat(
        "musterd at ", address, ": ", ended.empty() ? said.message() : ended));
  }
  if (!said.ok()) return said;
  answers.Fill(summary);
  return summary;
}

std::string FormatSimulation(const SimulationSummary& summary, bool json) {
  if (json) {
    std::string lines;
    for (const std::string& line : summary.alert_lines) {
      absl::StrAppend(&lines, lines.empty() ? "" : ",", alert::JsonText(line));
    }
    return absl::StrCat(
        "{\"run\":", alert::JsonText(summary.run), ",\"steps\":", summary.steps,
        ",\"reports\":", summary.reports,
        ",\"acknowledged\":", summary.acknowledged,
        ",\"refused\":", summary.refused, ",\"seconds\":", summary.seconds,
        ",\"behindSeconds\":", summary.behind_seconds,
        ",\"acknowledgedWithinSeconds\":", summary.acknowledged_within_seconds,
        ",\"alertsFired\":", summary.alerts.size(), ",\"alerts\":[", lines,
        "]}\n");
  }
  std::string text = absl::StrCat(
      "run ", summary.run, ": ", summary.steps, " steps, ", summary.reports,
      " reports in ", summary.seconds, " s, ", summary.refused, " refused, ",
      summary.alerts.size(), " alerts fired\n");
  if (summary.acknowledged > 0) {
    absl::StrAppend(&text, summary.acknowledged,
                    " reports acknowledged; at worst a step was acknowledged "
                    "within ",
                    summary.acknowledged_within_seconds, " s, and begun ",
                    summary.behind_seconds, " s late\n");
  }
  if (!summary.refusal.empty()) {
    absl::StrAppend(&text, "first refusal: ", summary.refusal, "\n");
  }
  for (const std::string& line : summary.alert_lines) {
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

}  // namespace muster::cli
