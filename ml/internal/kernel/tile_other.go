//go:build !amd64

package kernel

func runTile(_ Level, h int, t *tile)     { tilePortable(h, t) }
func runPoolTile(_ int, _ *tile)          { panic("kernel: no pooling tiles at this level") }
func runDepth(Level, int, *depthTile)     {}
func runPool(Level, poolKind, *poolBlock) {}

func runLanes(Level, laneKind, *sums, []float32, []float32, float64) int { return 0 }

func fmaLoop(_ Level, n int) float64 { return fmaLoopPortable(n) }

func addRowsVec(_, _ *float32, _ *int32, _, _ int, _ int32) {}

func (l Level) transposeBlock() int { return 0 }

func transposeBlocks(_ Level, _, _ *float32, _, _, _ int) {}
