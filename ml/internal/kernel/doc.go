// Package kernel holds the float32 compute kernels of package ml: matrix
// multiplication, convolution, pooling, activations, normalisation, recurrent
// cells and optimizer steps. Kernels work on plain slices and know nothing of
// graphs, variables or Gorgonia.
//
// # Layout
//
// Matrices are row-major with an explicit leading dimension. Images are NCHW
// everywhere except inside the packed inference convolutions (PackedConv),
// which take and give NHWC so that the innermost loop runs over channels: those of the
// result, or where every channel is a group of its own, as in depthwise convolutions,
// those of image and result. Pixels of NHWC images may lie further apart than their
// channels take, as those of some of the channels of a larger image do.
//
// # CPU levels
//
// Three implementations exist: Portable (plain Go), AVX2 (AVX2 and FMA3) and
// AVX512 (AVX-512 F, BW, DQ, VL). The best one that the processor supports is
// chosen once, when the program starts. The environment variable HIBANA_CPU
// (portable, avx2 or avx512) lowers the choice; see ActiveLevel and CheckEnv.
//
// # Invariant: a batch never changes a row
//
// At one CPU level every element of a matrix product is one chain of
// multiply-adds over p = 0..k-1 in that order, started from zero (or from the
// value that beta kept). Blocking over k carries the partial sum through memory
// and continues the same chain, and blocking over rows and columns never splits
// it. A row's result therefore depends on k and on the level alone, never on m,
// on n or on where the row stands in a batch. Reductions over an axis follow the
// same rule: their order depends on the length of the axis only. Sums in float64
// have the same order at every level, see sums.
//
// # Errors
//
// A shape that cannot be is reported by the Validate methods. Slices that are
// too short for the stated shape are a caller's defect and panic like an index
// out of range, before any assembly runs. Kernels never keep a slice that was
// passed to them, are safe for concurrent use on distinct outputs, and do not
// allocate once the scratch pool is warm.
package kernel
