// Sums over the numbers of sketches, on the processor's vectors: internal to
// this room.
#ifndef MUSTER_DAEMON_CONSISTENCY_VECTOR_SUMS_H_
#define MUSTER_DAEMON_CONSISTENCY_VECTOR_SUMS_H_

#include <cstddef>

namespace muster::consistency {

// All of these give the same bits on all processors: products are rounded
// before they are added, and element j goes to the partial sum j mod 8; the
// eight are added pairwise, (0+4)+(2+6) and (1+5)+(3+7), then both. `numbers`
// is the length of each array.

// Little-endian IEEE half precision to float32, exactly; all finite. Returns
// Σ x_j² of what is decoded, in double.
double DecodeHalves(const char* halves, size_t numbers, float* decoded);
// Σ x_j y_j, where x are halves as above.
double SumOfHalfProducts(const char* halves, const double* y, size_t numbers);
// Σ x_j y_j.
double SumOfProducts(const double* x, const double* y, size_t numbers);
// sum_j += scale · x_j and other_sum_j += other_scale · x_j. Returns Σ x_j y_j;
// 0 if y is null.
double AddScaled(const float* x, size_t numbers, double scale, double* sum,
                 double other_scale, double* other_sum, const double* y);

// As AddScaled of x[0] … x[3] one after the other, to the same bits; all four
// go through the sums together, which is where the time goes. products[i] is
// what the call for x[i] returns.
inline constexpr size_t kTogether = 4;
void AddFourScaled(const float* const* x, size_t numbers, const double* scales,
                   double* sum, const double* other_scales, double* other_sum,
                   const double* y, double* products);

}  // namespace muster::consistency

#endif  // MUSTER_DAEMON_CONSISTENCY_VECTOR_SUMS_H_
