package main

import "math/rand/v2"

// node is a part of a sentence: a word, or two parts. Its label says whether
// the part speaks well (2), badly (0) or not at all (1) of something.
type node struct {
	word        int32
	left, right *node
	label       int32
}

// Words 0 to 4 are good, 5 to 9 bad, 10 to 14 neither; 15 is "not".
const (
	good  = 0
	bad   = 5
	plain = 10
	not   = 15
	words = 16
)

// grow makes a tree of about size words. Opinions add up, and "not" on the left
// turns what is on its right around: to label a node one must know what is
// below it.
func grow(r *rand.Rand, size int) *node {
	n, _ := growValued(r, size)
	return n
}

func growValued(r *rand.Rand, size int) (*node, int) {
	if size <= 1 {
		kind := []int32{good, bad, plain}[r.IntN(3)]
		value := map[int32]int{good: 1, bad: -1, plain: 0}[kind]
		return &node{word: kind + int32(r.IntN(5)), label: label(value)}, value
	}
	if r.IntN(4) == 0 {
		right, value := growValued(r, size-1)
		return &node{left: &node{word: not, label: label(0)}, right: right, label: label(-value)}, -value
	}
	cut := 1 + r.IntN(size-1)
	left, a := growValued(r, cut)
	right, b := growValued(r, size-cut)
	value := min(max(a+b, -1), 1)
	return &node{left: left, right: right, label: label(value)}, value
}

func label(value int) int32 { return int32(value + 1) }

// forest makes n trees of two to eight words.
func forest(n int, seed uint64) []*node {
	r := rand.New(rand.NewPCG(seed, 3))
	trees := make([]*node, n)
	for i := range trees {
		trees[i] = grow(r, 2+r.IntN(7))
	}
	return trees
}
