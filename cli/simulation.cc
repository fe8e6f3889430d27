#include "cli/simulation.h"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/alert/json.h"
#include "daemon/identity/channel.h"
#include "daemon/simulate/generator.h"
#include "grpcpp/grpcpp.h"
#include "muster/v1/telemetry.grpc.pb.h"

namespace muster::cli {
namespace {

using Stream = grpc::ClientReaderWriter<v1::ClientMessage, v1::ServerMessage>;
using Clock = std::chrono::steady_clock;

// Well below the 1 MiB that a message may have.
constexpr size_t kMessageBytes = size_t{512} << 10;
constexpr std::chrono::seconds kSettleTime{60};

void ToProto(const frames::Report& from, v1::StepReport& report) {
  report.set_source(from.rank + 1);
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

// Takes what the daemon answers, on a thread of its own.
class Answers {
 public:
  explicit Answers(uint32_t ranks) : settled_(ranks + 1) {}

  void ReadAll(Stream& stream) {
    v1::ServerMessage message;
    while (stream.Read(&message)) Take(message);
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  // Waits until all sources are greeted; false if one was refused or the
  // stream broke.
  bool WaitForWelcome() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, kSettleTime, [&] {
      return closed_ || refused_ > 0 || welcomed_ + 1 == settled_.size();
    });
    return welcomed_ + 1 == settled_.size();
  }
  // Waits until the daemon has settled these sequences, by source.
  bool WaitForSettled(const std::vector<uint64_t>& sequences) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto all = [&] {
      for (size_t source = 1; source < sequences.size(); ++source) {
        if (settled_[source] < sequences[source]) return false;
      }
      return true;
    };
    changed_.wait_for(lock, kSettleTime, [&] { return closed_ || all(); });
    return all();
  }
  void Fill(SimulationSummary& summary) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    summary.refused = refused_;
    summary.refusal = refusal_;
    summary.alerts = alerts_;
    summary.alert_lines = alert_lines_;
  }

 private:
  void Take(const v1::ServerMessage& message) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (message.has_welcome()) ++welcomed_;
    if (message.has_ack() && message.ack().source() < settled_.size()) {
      settled_[message.ack().source()] = message.ack().sequence();
    }
    if (message.has_refusal() && ++refused_ == 1) {
      refusal_ = message.refusal().detail();
    }
    // All sources are shown the same.
    if (message.has_alerts() && message.alerts().source() == 1) {
      for (const v1::Alert& alert : message.alerts().alerts()) {
        if (!alerts_.insert(alert.id()).second) continue;
        alert_lines_.insert(absl::StrCat(alert.kind(), ": ", alert.evidence()));
      }
    }
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<uint64_t> settled_;  // by source, from 1
  size_t welcomed_ = 0;
  uint64_t refused_ = 0;
  std::string refusal_;
  std::set<uint64_t> alerts_;
  std::set<std::string> alert_lines_;
  bool closed_ = false;
};

bool SayHello(Stream& stream, const std::string& run,
              const simulate::Options& model) {
  char host[256] = "";
  ::gethostname(host, sizeof(host) - 1);
  std::random_device random;
  for (uint32_t rank = 0; rank < model.ranks; ++rank) {
    v1::ClientMessage message;
    v1::Hello& hello = *message.mutable_hello();
    hello.set_source(rank + 1);
    hello.set_run(run);
    hello.set_rank(rank);
    hello.set_world_size(model.ranks);
    hello.set_incarnation(uint64_t{random()} << 32 | random() | 1);
    hello.mutable_sketch()->set_version(1);
    hello.mutable_sketch()->set_width(StatedWidth(model));
    hello.set_host(host);
    hello.set_pid(static_cast<uint32_t>(::getpid()));
    if (!stream.Write(message)) return false;
  }
  return true;
}

bool SendStep(Stream& stream, const frames::Frame& frame) {
  v1::ClientMessage message;
  size_t bytes = 0;
  for (const frames::Report& report : frame.reports) {
    ToProto(report, *message.mutable_reports()->add_reports());
    bytes += 128 + report.sketch.size();
    if (bytes < kMessageBytes) continue;
    if (!stream.Write(message)) return false;
    message.Clear();
    bytes = 0;
  }
  return bytes == 0 || stream.Write(message);
}

// Of ranks that live to the end.
bool SayGoodbye(Stream& stream, const frames::Frame& last) {
  for (const frames::Report& report : last.reports) {
    v1::ClientMessage message;
    message.mutable_goodbye()->set_source(report.rank + 1);
    message.mutable_goodbye()->set_reason("closed");
    if (!stream.Write(message)) return false;
  }
  return true;
}

// Everything between the first write and the last answer.
absl::Status Converse(Stream& stream, const std::string& run,
                      const SimulationOptions& options, Answers& answers,
                      SimulationSummary& summary) {
  absl::Status broken = absl::UnavailableError("the stream broke");
  if (!SayHello(stream, run, options.model)) return broken;
  if (!answers.WaitForWelcome()) {
    answers.Fill(summary);
    return summary.refused > 0 ? absl::FailedPreconditionError(absl::StrCat(
                                     "musterd refused: ", summary.refusal))
                               : broken;
  }
  simulate::Generator generator(options.model);
  std::vector<uint64_t> sequences(options.model.ranks + 1);
  const auto start = Clock::now();
  const frames::Frame* frame = nullptr;
  for (; summary.steps < options.steps; ++summary.steps) {
    frame = &generator.Next().frame;
    if (!SendStep(stream, *frame)) return broken;
    summary.reports += frame->reports.size();
    for (const frames::Report& report : frame->reports) {
      sequences[report.rank + 1] = report.sequence;
    }
    if (options.steps_per_second > 0) {
      std::this_thread::sleep_until(
          start + std::chrono::duration_cast<Clock::duration>(
                      std::chrono::duration<double>(
                          static_cast<double>(summary.steps + 1) /
                          options.steps_per_second)));
    }
  }
  if (!answers.WaitForSettled(sequences)) return broken;
  summary.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (frame != nullptr && !SayGoodbye(stream, *frame)) return broken;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SimulationSummary> Simulate(const std::string& address,
                                           const identity::ChannelFiles& files,
                                           const std::string& run,
                                           const SimulationOptions& options) {
  const auto target = identity::PrepareChannel(address, files);
  if (!target.ok()) return target.status();
  const auto channel = grpc::CreateChannel(target->target, target->credentials);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() +
                                 std::chrono::seconds(5))) {
    return absl::UnavailableError(
        absl::StrCat("cannot reach musterd at ", address));
  }
  const auto stub = v1::Telemetry::NewStub(channel);
  grpc::ClientContext context;
  const absl::Status shown = identity::AddToken(files, context);
  if (!shown.ok()) return shown;
  const auto stream = stub->Stream(&context);
  Answers answers(options.model.ranks);
  std::thread reader([&] { answers.ReadAll(*stream); });
  SimulationSummary summary;
  summary.run = run;
  const absl::Status said = Converse(*stream, run, options, answers, summary);
  if (said.ok()) {
    stream->WritesDone();
  } else {
    context.TryCancel();
  }
  reader.join();
  const grpc::Status ended = stream->Finish();
  if (absl::IsUnavailable(said) && !ended.error_message().empty()) {
    return absl::UnavailableError(
        absl::StrCat("musterd at ", address, ": ", ended.error_message()));
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
        ",\"reports\":", summary.reports, ",\"refused\":", summary.refused,
        ",\"seconds\":", summary.seconds,
        ",\"alertsFired\":", summary.alerts.size(), ",\"alerts\":[", lines,
        "]}\n");
  }
  std::string text = absl::StrCat(
      "run ", summary.run, ": ", summary.steps, " steps, ", summary.reports,
      " reports in ", summary.seconds, " s, ", summary.refused, " refused, ",
      summary.alerts.size(), " alerts fired\n");
  if (!summary.refusal.empty()) {
    absl::StrAppend(&text, "first refusal: ", summary.refusal, "\n");
  }
  for (const std::string& line : summary.alert_lines) {
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

}  // namespace muster::cli
