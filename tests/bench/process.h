// Server processes of benchmarks.
#ifndef MUSTER_TESTS_BENCH_PROCESS_H_
#define MUSTER_TESTS_BENCH_PROCESS_H_

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace muster::bench {

// A server that writes where it listens into the file that is its last
// argument; killed by the destructor. Prints and exits where it does not start.
class ServerProcess {
 public:
  explicit ServerProcess(std::vector<std::string> command) {
    char folder[] = "/tmp/muster-bench-XXXXXX";
    if (::mkdtemp(folder) == nullptr) Die("mkdtemp");
    ports_file_ = std::string(folder) + "/ports";
    command.push_back(ports_file_);
    std::vector<char*> arguments;
    for (std::string& each : command) arguments.push_back(each.data());
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execv(arguments[0], arguments.data());
      std::perror(arguments[0]);
      std::_Exit(127);
    }
    for (int i = 0; i < 1000 && ports().empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (ports().empty()) Die("the server did not start");
  }
  ~ServerProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    std::remove(ports_file_.c_str());
    ::rmdir(ports_file_.substr(0, ports_file_.rfind('/')).c_str());
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // What the file says; empty if nothing yet.
  std::string ports() const {
    std::ifstream file(ports_file_);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // musterd's gRPC address, out of its ports file.
  std::string grpc_address() const {
    const std::string text = ports();
    const size_t begin = text.find("\"grpc\":\"") + 8;
    return text.substr(begin, text.find('"', begin) - begin);
  }
  // Processor time used so far.
  double CpuSeconds() const {
    clockid_t clock;
    timespec now;
    if (::clock_getcpuclockid(pid_, &clock) != 0 ||
        ::clock_gettime(clock, &now) != 0) {
      Die("no processor clock of the server");
    }
    return static_cast<double>(now.tv_sec) +
           1e-9 * static_cast<double>(now.tv_nsec);
  }
  pid_t pid() const { return pid_; }

 private:
  [[noreturn]] static void Die(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::exit(1);
  }

  pid_t pid_ = 0;
  std::string ports_file_;
};

inline std::vector<std::string> MusterdCommand(const std::string& musterd) {
  return {musterd,       "--grpc-address", "127.0.0.1:0", "--http-address",
          "127.0.0.1:0", "--log-level",    "error",       "--ports-file"};
}

}  // namespace muster::bench

#endif  // MUSTER_TESTS_BENCH_PROCESS_H_
