package rdd_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// exampleDir makes a directory with files for an example.
func exampleDir(contents map[string]string) (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "example-")
	for name, text := range contents {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
		}
	}
	if err != nil {
		fmt.Println(err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }
}

func ExampleTextFile() {
	dir, remove := exampleDir(map[string]string{"a.txt": "to be\n", "b.txt": "or not\nto be\n", "notes.md": "no\n"})
	defer remove()
	sc := rddtest.NewContext(2)
	lines := rdd.TextFile(sc, dir+"/*.txt")
	shown(lines)
	fmt.Println(rdd.Count(rdd.FlatMap(lines, strings.Fields)))
	// Output:
	// [to be or not to be]
	// 6 <nil>
}

func ExampleOnBadFile() {
	dir, remove := exampleDir(map[string]string{"a.txt": "to be\n", "b.gz": "cut short"})
	defer remove()
	letters := rdd.DeadLetter(func(_ rdd.Part, f files.File, err error) error {
		fmt.Println(filepath.Base(f.Path), "is left out; damaged:", errors.Is(err, files.ErrDamaged))
		return nil
	})
	shown(rdd.TextFile(rddtest.NewContext(1), dir, rdd.OnBadFile(letters)))
	// Output:
	// b.gz is left out; damaged: true
	// [to be]
}

func ExampleWholeTextFiles() {
	dir, remove := exampleDir(map[string]string{"a.txt": "to be\n", "b.txt": "or not\nto be\n"})
	defer remove()
	files := rdd.WholeTextFiles(rddtest.NewContext(2), dir)
	shown(rdd.Map(files, func(f rdd.Pair[string, string]) string {
		return fmt.Sprintf("%s: %d lines", filepath.Base(f.Key), strings.Count(f.Value, "\n"))
	}))
	// Output: [a.txt: 1 lines b.txt: 2 lines]
}

func ExampleBinaryFiles() {
	dir, remove := exampleDir(map[string]string{"a.png": "\x89PNG", "b.gif": "GIF89a"})
	defer remove()
	files := rdd.BinaryFiles(rddtest.NewContext(2), dir+"/*.{png,gif}")
	shown(rdd.Map(files, func(f rdd.Pair[string, []byte]) string { return fmt.Sprintf("%s: % x", filepath.Base(f.Key), f.Value) }))
	// Output: [a.png: 89 50 4e 47 b.gif: 47 49 46 38 39 61]
}

func ExampleCSV() {
	dir, remove := exampleDir(map[string]string{"people.csv": "name,age\nAda,36\nBo,unknown\nCy,7\n"})
	defer remove()
	type person struct {
		Name string `csv:"name"`
		Age  int    `csv:"age"`
	}
	sc := rddtest.NewContext(2)
	shown(rdd.CSV[person](sc, dir+"/people.csv", rdd.OnBadRecord(rdd.Skip())))
	// Output: [{Ada 36} {Cy 7}]
}

func ExampleJSONLines() {
	dir, remove := exampleDir(map[string]string{"people.jsonl": "{\"name\": \"Ada\", \"age\": 36}\n{\"name\": \"Cy\", \"age\": 7}\n"})
	defer remove()
	type person struct {
		Name string `json:"name"`
		Age  int    `json:"age"`
	}
	shown(rdd.JSONLines[person](rddtest.NewContext(2), dir+"/people.jsonl"))
	// Output: [{Ada 36} {Cy 7}]
}

func ExampleSaveAsTextFile() {
	dir, remove := exampleDir(nil)
	defer remove()
	sc := rddtest.NewContext(2)
	out := filepath.Join(dir, "squares")
	squares := rdd.Map(rdd.Range(sc, 1, 5, 1), func(i int) int { return i * i })
	fmt.Println(rdd.SaveAsTextFile(squares, out, rdd.Gzip()))
	shown(rdd.TextFile(sc, out))
	// Output:
	// <nil>
	// [1 4 9 16]
}

func ExampleSaveAsObjectFile() {
	dir, remove := exampleDir(nil)
	defer remove()
	sc := rddtest.NewContext(2)
	out := filepath.Join(dir, "ages")
	ages := rdd.Parallelize(sc, []rdd.Pair[string, int]{rdd.KV("Ada", 36), rdd.KV("Cy", 7)})
	fmt.Println(rdd.SaveAsObjectFile(ages, out))
	shown(rdd.ObjectFile[rdd.Pair[string, int]](sc, out))
	// Output:
	// <nil>
	// [{Ada 36} {Cy 7}]
}

func ExampleObjectFile() {
	dir, remove := exampleDir(nil)
	defer remove()
	sc := rddtest.NewContext(2)
	out := filepath.Join(dir, "numbers")
	fmt.Println(rdd.SaveAsObjectFile(rdd.Range(sc, 0, 6, 1, rdd.Partitions(3)), out))
	numbers := rdd.ObjectFile[int](sc, out)
	fmt.Println(numbers.NumPartitions())
	shown(numbers)
	// Output:
	// <nil>
	// 3
	// [0 1 2 3 4 5]
}

func ExampleRDD_Checkpoint() {
	dir, remove := exampleDir(nil)
	defer remove()
	sc := rddtest.NewContext(2)
	sc.SetCheckpointDir(dir)
	r := rdd.Range(sc, 0, 4, 1)
	for round := 1; round <= 20; round++ {
		r = rdd.Map(r, func(i int) int { return i + 1 })
		if round%10 > 0 {
			continue
		}
		var err error
		if r, err = r.Checkpoint(); err != nil { // what was before is no part of r any more
			fmt.Println(err)
			return
		}
	}
	shown(r)
	// Output: [20 21 22 23]
}

func ExampleFromCheckpoint() {
	dir, remove := exampleDir(nil)
	defer remove()
	sc := rddtest.NewContext(2)
	sc.SetCheckpointDir(dir)
	if _, err := rdd.Range(sc, 0, 4, 1).CheckpointAs("numbers", 1); err != nil {
		fmt.Println(err)
		return
	}
	shown(rdd.FromCheckpoint[int](sc, filepath.Join(dir, "numbers", "1"))) // in a later run of the program
	// Output: [0 1 2 3]
}

func ExampleLastCheckpoint() {
	dir, remove := exampleDir(nil)
	defer remove()
	// run is the program, which is killed after some rounds.
	run := func(killedAfter int) error {
		sc := rddtest.NewContext(2)
		sc.SetCheckpointDir(dir)
		numbers, round, err := rdd.LastCheckpoint[int](sc, "numbers")
		if err != nil {
			return err
		}
		if round == 0 {
			numbers = rdd.Range(sc, 0, 4, 1)
		}
		fmt.Println("going on after round", round)
		for round < killedAfter {
			round++
			numbers = rdd.Map(numbers, func(i int) int { return i + 1 })
			if round%10 > 0 {
				continue
			}
			if numbers, err = numbers.CheckpointAs("numbers", round); err != nil {
				return err
			}
		}
		shown(numbers)
		return nil
	}
	fmt.Println(run(25))
	fmt.Println(run(30))
	// Output:
	// going on after round 0
	// [25 26 27 28]
	// <nil>
	// going on after round 20
	// [30 31 32 33]
	// <nil>
}
