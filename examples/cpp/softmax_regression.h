// The model and the data of the example: softmax regression on points of ten
// overlapping classes.
#ifndef MUSTER_EXAMPLES_CPP_SOFTMAX_REGRESSION_H_
#define MUSTER_EXAMPLES_CPP_SOFTMAX_REGRESSION_H_

#include <cstddef>
#include <random>
#include <vector>

namespace example {

inline constexpr size_t kClasses = 10;
inline constexpr size_t kFeatures = 256;
// A row of weights for each class, then the biases.
inline constexpr size_t kParameters = kClasses * (kFeatures + 1);

struct Sample {
  std::vector<float> features;  // kFeatures
  size_t label = 0;
};

// Draws samples around class centres that are the same for every rank. A share
// of `label_noise` of the labels is random. Thread-compatible.
class SampleSource {
 public:
  SampleSource(unsigned seed, double label_noise);
  Sample Draw();

 private:
  const double label_noise_;
  std::vector<std::vector<float>> centres_;
  std::mt19937 random_;
};

// Mean cross-entropy over `batch` under `parameters`; its gradient goes to
// `*gradient` (kParameters).
double LossAndGradient(const std::vector<float>& parameters,
                       const std::vector<Sample>& batch,
                       std::vector<float>* gradient);

}  // namespace example

#endif  // MUSTER_EXAMPLES_CPP_SOFTMAX_REGRESSION_H_
