// A data-parallel training run without Python: some processes, each with its
// own samples, average their gradients through shared memory, and tell Muster
// what each of them saw before the average.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "examples/cpp/softmax_regression.h"
#include "muster/client.h"

namespace {

using example::kParameters;

constexpr size_t kBatch = 64;
constexpr float kLearningRate = 0.1f;
// The rank whose labels are noisy under --fault noisy-labels, if it exists.
constexpr uint32_t kNoisyRank = 3;

struct Flags {
  std::string address;
  std::string run_id = "cpp-example-" + std::to_string(getpid());
  uint32_t ranks = 8;
  uint64_t steps = 500;
  bool noisy_labels = false;
};

[[noreturn]] void Usage(const char* message) {
  std::fprintf(stderr,
               "%s\nusage: muster_example [--address HOST:PORT] [--run-id ID] "
               "[--ranks 1…256] [--steps N] [--fault none|noisy-labels]\n",
               message);
  std::exit(2);
}

Flags Parse(int argc, char** argv) {
  Flags flags;
  if (argc % 2 == 0) Usage("each flag takes one value");
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    const std::string value = argv[i + 1];
    if (flag == "--address") {
      flags.address = value;
    } else if (flag == "--run-id") {
      flags.run_id = value;
    } else if (flag == "--ranks") {
      flags.ranks = std::strtoul(value.c_str(), nullptr, 10);
    } else if (flag == "--steps") {
      flags.steps = std::strtoull(value.c_str(), nullptr, 10);
    } else if (flag == "--fault" &&
               (value == "none" || value == "noisy-labels")) {
      flags.noisy_labels = value == "noisy-labels";
    } else {
      Usage(("not understood: " + flag + " " + value).c_str());
    }
  }
  if (flags.ranks < 1 || flags.ranks > 256) Usage("--ranks must be 1 to 256");
  return flags;
}

// Memory that all ranks share: a slot for each rank's gradient, and a barrier.
class AllReduce {
 public:
  // Before the ranks are forked.
  explicit AllReduce(uint32_t ranks) : ranks_(ranks) {
    const size_t bytes =
        sizeof(pthread_barrier_t) + ranks * kParameters * sizeof(float);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      std::perror("muster_example: shared memory");
      std::exit(1);
    }
    barrier_ = static_cast<pthread_barrier_t*>(memory);
    slots_ = reinterpret_cast<float*>(barrier_ + 1);
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(barrier_, &attributes, ranks);
  }

  // Replaces `*gradient` by its mean over all ranks, the same bits on each.
  void Average(uint32_t rank, std::vector<float>* gradient) {
    std::memcpy(slots_ + rank * kParameters, gradient->data(),
                kParameters * sizeof(float));
    pthread_barrier_wait(barrier_);
    for (size_t p = 0; p < kParameters; ++p) {
      float sum = 0;
      for (uint32_t r = 0; r < ranks_; ++r) sum += slots_[r * kParameters + p];
      (*gradient)[p] = sum / ranks_;
    }
    pthread_barrier_wait(barrier_);
  }

 private:
  const uint32_t ranks_;
  pthread_barrier_t* barrier_;
  float* slots_;
};

// The training loop of one rank.
int Train(const Flags& flags, uint32_t rank, AllReduce& all_reduce) {
  std::string error;
  muster::Options options = muster::Options::FromEnvironment(&error);
  if (!flags.address.empty()) options.address = flags.address;
  options.run_id = flags.run_id;
  options.rank = rank;
  options.world_size = flags.ranks;
  options.parameter_count = kParameters;
  options.facts = {{"batch_size", {std::to_string(kBatch)}},
                   {"data_seed", {std::to_string(rank), /*shown_only=*/true}}};
  const std::unique_ptr<muster::Client> client =
      muster::Client::Start(options, &error);
  if (client == nullptr) {
    std::fprintf(stderr, "muster_example: %s\n", error.c_str());
    return 1;
  }

  const bool noisy = flags.noisy_labels && rank == kNoisyRank;
  example::SampleSource source(/*seed=*/rank, noisy ? 0.2 : 0.0);
  std::vector<float> parameters(kParameters, 0.0f);
  std::vector<float> gradient(kParameters);
  std::vector<example::Sample> batch(kBatch);
  for (uint64_t step = 1; step <= flags.steps; ++step) {
    for (example::Sample& sample : batch) sample = source.Draw();
    const double loss = LossAndGradient(parameters, batch, &gradient);

    // While the gradient is still this rank's own.
    client->Observe(0, gradient.data(), gradient.size(),
                    muster::DataType::kFloat32);
    all_reduce.Average(rank, &gradient);
    client->EndStep({.step = step,
                     .loss = loss,
                     .weight = double{kBatch},
                     .learning_rate = kLearningRate});

    for (size_t p = 0; p < kParameters; ++p) {
      parameters[p] -= kLearningRate * gradient[p];
    }
    if (rank == 0 && (step % 100 == 0 || step == flags.steps)) {
      std::printf("step %llu: loss of rank 0 %.4f\n",
                  static_cast<unsigned long long>(step), loss);
      std::fflush(stdout);
    }
  }
  client->Stop();
  if (rank == 0) {
    const muster::Stats stats = client->GetStats();
    std::printf("reports of rank 0: %llu made, %llu acknowledged\n",
                static_cast<unsigned long long>(stats.made),
                static_cast<unsigned long long>(stats.acknowledged));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags = Parse(argc, argv);
  AllReduce all_reduce(flags.ranks);
  std::printf("run %s: %u ranks, %llu steps\n", flags.run_id.c_str(),
              flags.ranks, static_cast<unsigned long long>(flags.steps));
  std::fflush(stdout);
  std::vector<pid_t> ranks;
  for (uint32_t rank = 0; rank < flags.ranks; ++rank) {
    const pid_t child = fork();
    if (child == 0) std::exit(Train(flags, rank, all_reduce));
    if (child > 0) ranks.push_back(child);
  }
  bool failed = ranks.size() < flags.ranks;
  while (!ranks.empty()) {
    // Without one of them the others would wait at the barrier for ever.
    if (failed) {
      for (const pid_t rank : ranks) kill(rank, SIGTERM);
    }
    int status = 0;
    std::erase(ranks, wait(&status));
    failed = failed || status != 0;
  }
  return failed ? 1 : 0;
}
