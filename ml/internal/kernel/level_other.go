//go:build !amd64

package kernel

// BestLevel returns the fastest level that this processor supports.
func BestLevel() Level { return Portable }
