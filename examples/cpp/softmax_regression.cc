#include "examples/cpp/softmax_regression.h"

#include <algorithm>
#include <cmath>

namespace example {
namespace {

// Distance of the centres from the origin, in standard deviations of a class.
constexpr float kSeparation = 2.0f;
constexpr unsigned kCentreSeed = 20;

}  // namespace

SampleSource::SampleSource(unsigned seed, double label_noise)
    : label_noise_(label_noise), random_(seed) {
  std::mt19937 centre_random(kCentreSeed);
  std::normal_distribution<float> normal(0, 1 / std::sqrt(float{kFeatures}));
  for (size_t c = 0; c < kClasses; ++c) {
    std::vector<float>& centre = centres_.emplace_back(kFeatures);
    for (float& value : centre) value = kSeparation * normal(centre_random);
  }
}

Sample SampleSource::Draw() {
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<size_t> any_class(0, kClasses - 1);
  Sample sample{.features = centres_[0], .label = any_class(random_)};
  for (size_t f = 0; f < kFeatures; ++f) {
    sample.features[f] = centres_[sample.label][f] + normal(random_);
  }
  if (std::bernoulli_distribution(label_noise_)(random_)) {
    sample.label = any_class(random_);
  }
  return sample;
}

double LossAndGradient(const std::vector<float>& parameters,
                       const std::vector<Sample>& batch,
                       std::vector<float>* gradient) {
  const float* biases = &parameters[kClasses * kFeatures];
  float* bias_gradient = &(*gradient)[kClasses * kFeatures];
  std::fill(gradient->begin(), gradient->end(), 0.0f);
  double loss = 0;
  for (const Sample& sample : batch) {
    double scores[kClasses];
    for (size_t c = 0; c < kClasses; ++c) {
      float score = biases[c];
      for (size_t f = 0; f < kFeatures; ++f) {
        score += parameters[c * kFeatures + f] * sample.features[f];
      }
      scores[c] = score;
    }
    const double highest = *std::max_element(scores, scores + kClasses);
    double total = 0;
    for (const double score : scores) total += std::exp(score - highest);
    loss += highest + std::log(total) - scores[sample.label];
    for (size_t c = 0; c < kClasses; ++c) {
      const double share = std::exp(scores[c] - highest) / total;
      const double target = c == sample.label ? 1 : 0;
      const auto slope = static_cast<float>((share - target) / batch.size());
      for (size_t f = 0; f < kFeatures; ++f) {
        (*gradient)[c * kFeatures + f] += slope * sample.features[f];
      }
      bias_gradient[c] += slope;
    }
  }
  return loss / batch.size();
}

}  // namespace example
