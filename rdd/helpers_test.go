package rdd_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// ints returns the numbers from 1 to n.
func ints(sc *rdd.Context, n, partitions int) *rdd.RDD[int] {
	v := make([]int, n)
	for i := range v {
		v[i] = i + 1
	}
	return rdd.Parallelize(sc, v, rdd.Partitions(partitions))
}

// check compares an RDD's partitions with what is expected.
func check[T any](t *testing.T, r *rdd.RDD[T], want [][]T) {
	t.Helper()
	got, err := rddtest.Glom(r)
	if err != nil {
		t.Fatal(err)
	}
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("got %s, want %s", g, w)
	}
}

// flat returns all elements in partition order.
func flat[T any](t *testing.T, r *rdd.RDD[T]) []T {
	t.Helper()
	got, err := rddtest.Glom(r)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(got...)
}
