package rdd_test

import (
	"fmt"
	"strconv"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func ExampleTryMap() {
	sc := rddtest.NewContext(1)
	lines := rdd.Parallelize(sc, []string{"1", "two", "3"})
	shown(rdd.TryMap(lines, strconv.Atoi, rdd.OnBadRecord(rdd.Skip())))
	// Output: [1 3]
}

func ExampleTryFlatMap() {
	sc := rddtest.NewContext(1)
	lines := rdd.Parallelize(sc, []string{"1", "two", "3"})
	ones := func(line string) ([]int, error) {
		n, err := strconv.Atoi(line)
		return make([]int, n), err
	}
	shown(rdd.TryFlatMap(lines, ones, rdd.OnBadRecord(rdd.Skip())))
	// Output: [0 0 0 0]
}

func ExampleRDD_TryFilter() {
	sc := rddtest.NewContext(1)
	lines := rdd.Parallelize(sc, []string{"true", "maybe", "false"})
	shown(lines.TryFilter(strconv.ParseBool, rdd.OnBadRecord(rdd.Skip())))
	// Output: [true]
}

func ExampleDeadLetter() {
	sc := rddtest.NewContext(1)
	lines := rdd.Parallelize(sc, []string{"1", "two", "3"})
	letter := func(_ rdd.Part, line string, err error) error {
		fmt.Printf("%q: %v\n", line, err)
		return nil
	}
	shown(rdd.TryMap(lines, strconv.Atoi, rdd.OnBadRecord(rdd.DeadLetter(letter))))
	// Output:
	// "two": bad record in partition 0 at index 1: strconv.Atoi: parsing "two": invalid syntax
	// [1 3]
}

// By default a record that a function refuses fails the task.
func ExampleFail() {
	sc := rddtest.NewContext(1)
	lines := rdd.Parallelize(sc, []string{"1", "two", "3"})
	_, err := rdd.Collect(rdd.TryMap(lines, strconv.Atoi))
	fmt.Println(err)
	// Output: tryMap at rdd/example_try_test.go:53: bad record in partition 0 at index 1: strconv.Atoi: parsing "two": invalid syntax; to go on without such records use rdd.OnBadRecord(rdd.Skip()) or rdd.DeadLetter
}
