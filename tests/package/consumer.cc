// The C++ client and the sketch, from a program that has only the install.
#include <muster/client.h>
#include <muster/sketch.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

int main() {
  muster::Options options;
  options.address = "127.0.0.1:1";
  options.run_id = "package-test";
  options.flush_timeout = std::chrono::milliseconds(100);
  std::string error = options.Validate();
  const std::unique_ptr<muster::Client> client =
      muster::Client::Start(options, &error);
  if (client == nullptr) {
    std::fprintf(stderr, "cpp_consumer: %s\n", error.c_str());
    return 1;
  }
  const std::vector<float> gradient = {3, 4};
  client->Observe(0, gradient.data(), gradient.size(),
                  muster::DataType::kFloat32);
  client->EndStep({.step = 1, .loss = 0.5});
  const bool counted =
      client->GetStats().made == 1 && client->GetStats().queued == 1;
  client->Stop();
  const bool stopped = client->GetStats().dropped == 1;

  muster::Sketch sketch(muster::SketchSpec{});
  sketch.Add(0, gradient.data(), gradient.size(), muster::DataType::kFloat32);
  const bool sketched = sketch.squared_norm() == 25;

  if (!counted || !stopped || !sketched) {
    std::fprintf(stderr, "cpp_consumer: wrong counts\n");
    return 1;
  }
  std::printf("C++ consumer of muster %s: ok\n", muster::Version());
  return 0;
}
