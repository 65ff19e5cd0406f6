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

// transposeBlock returns the side of the squares that transposeBlocks handles.
func (l Level) transposeBlock() int {
	switch l {
	case AVX512:
		return 16
	case AVX2:
		return 8
	}
	return 0
}

func transposeBlocks(l Level, dst, src *float32, dstStride, srcStride, blocks int) {
	if l == AVX512 {
		transpose16(dst, src, dstStride, srcStride, blocks)
		return
	}
	transpose8(dst, src, dstStride, srcStride, blocks)
}
