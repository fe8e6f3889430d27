// Synthetic runs: the frames that N ranks would give, with faults whose onset
// and size are known.
#ifndef MUSTER_DAEMON_SIMULATE_GENERATOR_H_
#define MUSTER_DAEMON_SIMULATE_GENERATOR_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "daemon/frames/frame.h"
#include "daemon/simulate/options.h"
#include "daemon/simulate/random.h"
#include "daemon/simulate/schedule.h"
#include "daemon/simulate/sketch_pool.h"

namespace muster::simulate {

// One step of a run. Without sketches consistency cannot find cosines, so they
// come beside the frame, as it would find them, with the truth that it would
// average towards.
struct Step {
  frames::Frame frame;          // closed; arrivals are step × step_seconds
  std::vector<double> cosines;  // by report; empty with sketches
  double gradient_square = 0;   // |G|²
  double covariance_trace = 0;  // tr Σ per sample
};

// The model. With z standard Gaussian or t(3) (random.h), w_i the weight over
// its mean, β = B/b and β_i = β/w_i, rank i reports
//   loss      ℓ_i = L (1 + loss_noise z/√w_i)
//   gradient  with sketches of width k: g_i = |G| (μ + √(β_i/k) z), z in R^k,
//             Gaussian always, as numbers of a sketch sum many elements; so
//             E n_i² = |G|² (1 + β_i) and cosines are 1/(1 + β). For t(3) the
//             norm is multiplied by e^(τ z/2), τ as follows
//             without: log n_i² = log(|G|² (1 + β_i)) + τ z, with the variance
//             τ² = (2 β_i² + 4 β_i)/(d (1 + β_i)²) of a χ² of dimension d, and
//             c_i = (h + √(β_i/d) z)/√(1 + β_i), where
//             h² = (N − 1)/(N − 1 + β) is the others' mean against G
//   duration  step_seconds (1 + 0.02 z)
// Shards of n steps: z of loss, norm and cosine are drawn anew in each epoch,
// less their mean over it, plus a constant of variance 1/n that the rank keeps:
// what is drawn without replacement. An overflow of the gradient scaler takes
// norm and sketch from some ranks, in one step, and from all in the first two.
// A pool of sketches has one μ for all steps (sketch_pool.h).
// Label noise of share a: G becomes (1 − a) G, and the loss is a of the way
// to loss_start. Faults leave the random numbers of others as they are: runs
// that differ in their faults are pairs.
//
// Deterministic in the options. Thread-compatible.
class Generator {
 public:
  // Requires: Validate(options) is empty.
  explicit Generator(Options options);

  // The next step, from 0. Valid until the next call.
  const Step& Next();
  const Options& options() const { return options_; }

 private:
  // What a rank draws at a step, whether a fault needs it or not.
  struct Draw {
    double weight = 1;
    double loss = 0;
    double norm = 0;
    double cosine = 0;
    double duration = 0;
    bool overflow = false;
    std::vector<double> noise;  // z in R^k
  };

  double Noise();
  void FillPool();
  void DrawRank(Draw& draw);
  void DrawShards();
  void DrawOverflow();
  void TurnDirection();
  void MixDuplicates();
  // τ.
  double NormDeviation(double signal, double own_noise) const;
  // Fills in the report of draws_[rank], and its cosine.
  void Report(uint32_t rank, frames::Report& report, double& cosine);
  void ReportSketch(const Draw& draw, double signal, double noise_scale,
                    double flip, frames::Report& report);
  // Multiplies the norm by what t(3) tails add to it.
  void StretchNorm(const Draw& draw, double signal, double own_noise,
                   frames::Report& report) const;
  const Fault* FaultOf(FaultKind kind, uint32_t rank) const;

  const Options options_;
  Random random_;
  Schedule schedule_;
  std::shared_ptr<const frames::FactSet> facts_;
  std::vector<double> fixed_weights_;
  std::vector<Draw> draws_;
  std::vector<double> direction_;  // μ
  std::vector<double> gradient_;   // g_i
  SketchPool pool_;                // empty if each sketch is drawn
  // By rank and step of the epoch: z of loss, norm and cosine.
  std::vector<double> shards_;
  std::vector<double> shard_means_;
  Step step_;
};

}  // namespace muster::simulate

#endif  // MUSTER_DAEMON_SIMULATE_GENERATOR_H_
