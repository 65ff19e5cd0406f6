package kernel

import (
	"fmt"
	"os"
)

// Level names one implementation of the kernels.
type Level uint8

const (
	// Portable is plain Go and runs everywhere.
	Portable Level = iota
	// AVX2 needs AVX2 and FMA3.
	AVX2
	// AVX512 needs AVX-512 F, BW, DQ and VL.
	AVX512
)

// EnvCPU is the environment variable that lowers the level: portable, avx2 or
// avx512. It is read once, when the program starts.
const EnvCPU = "HIBANA_CPU"

// active is the level that the exported kernels use. It is set here and never
// written again.
var active = chooseLevel(os.Getenv(EnvCPU), BestLevel())

// String returns the level's name as EnvCPU takes it.
func (l Level) String() string {
	switch l {
	case Portable:
		return "portable"
	case AVX2:
		return "avx2"
	case AVX512:
		return "avx512"
	}
	return fmt.Sprintf("Level(%d)", uint8(l))
}

// ParseLevel turns a level's name into the level.
func ParseLevel(name string) (Level, error) {
	for _, l := range []Level{Portable, AVX2, AVX512} {
		if l.String() == name {
			return l, nil
		}
	}
	return Portable, fmt.Errorf("unknown CPU level %q: use portable, avx2 or avx512", name)
}

// ActiveLevel returns the level that the exported kernels use in this process.
func ActiveLevel() Level { return active }

// CheckEnv reports why the value of EnvCPU was not followed: it names no level,
// or one that this processor does not have. Commands call it once at start.
func CheckEnv() error {
	name := os.Getenv(EnvCPU)
	if name == "" {
		return nil
	}
	l, err := ParseLevel(name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", EnvCPU, err)
	}
	if best := BestLevel(); l > best {
		return fmt.Errorf("reading %s: this processor has no %s, the best level here is %s", EnvCPU, l, best)
	}
	return nil
}

// chooseLevel follows name where it can and falls back to best.
func chooseLevel(name string, best Level) Level {
	l, err := ParseLevel(name)
	if err != nil || l > best {
		return best
	}
	return l
}

// whole returns how much of n elements the level's vectors cover.
func (l Level) whole(n int) int {
	switch l {
	case AVX512:
		return n &^ 15
	case AVX2:
		return n &^ 7
	}
	return 0
}
