package kernel

func runTile(_ Level, h int, t *tile)        { tilePortable(h, t, false) }
func runTileIndexed(_ Level, h int, t *tile) { tilePortable(h, t, true) }
func runTileWide(_ Level, h int, t *tile)    { tilePortable(h, t, false) }
func runTilePooled(h int, t *tile)           { panic("kernel: no pooling tile at this level") }
func fmaLoop(_ Level, n int) float64         { return fmaLoopPortable(n) }
