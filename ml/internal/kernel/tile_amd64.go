package kernel

// runTile runs a tile of height h in the form that its columns ask for.
func runTile(l Level, h int, t *tile) {
	switch l {
	case AVX512:
		vecs := 2
		if t.cols <= 16 {
			vecs = 1
		} else if t.cols > 32 {
			vecs = 4
		}
		avx512Tile(vecs<<4|h, t)
	case AVX2:
		avx2Tile(2<<4|h, t)
	default:
		tilePortable(h, t)
	}
}

// runPoolTile runs a pooling tile of h rows of the product. AVX512 only.
func runPoolTile(h int, t *tile) { avx512Tile(1<<7|2<<4|h, t) }
