//go:build !amd64

package kernel

func runTile(_ Level, h int, t *tile)     { tilePortable(h, t) }
func runPoolTile(_ int, _ *tile)          { panic("kernel: no pooling tiles at this level") }
func runPool(Level, poolKind, *poolBlock) {}
func fmaLoop(_ Level, n int) float64      { return fmaLoopPortable(n) }

func (l Level) transposeBlock() int { return 0 }

func transposeBlocks(_ Level, _, _ *float32, _, _, _ int) {}
