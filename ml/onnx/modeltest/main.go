// Command modeltest holds package onnx against the conformance tests of ONNX
// itself and against network files that others have published. It fetches both
// with pip into a cache folder, as data: nothing of what it fetches is executed. Where Python has ONNX Runtime, the
// published networks' results are held against its, and those of the files in the
// folder -nets, such as docs/bench/nets.py writes.
//
//	go run ./ml/onnx/modeltest [-cache .cache/models] [-nets FOLDER] [-v] [-run PATTERN] [-table FILE] [-python FILE]
//
// Every result of a test is one of: passed; refused, with an error that says what
// isn't supported; wrong, which fails the command.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
)

func main() {
	cache := flag.String("cache", ".cache/models", "folder for what is fetched")
	verbose := flag.Bool("v", false, "print each result that didn't pass")
	pattern := flag.String("run", "", "run only the tests and files whose name matches")
	table := flag.String("table", "", "write the conformance table to this file")
	python := flag.String("python", "python3", "a Python that has ONNX Runtime, to compare with")
	nets := flag.String("nets", "", "folder of further networks, with an open batch")
	flag.Parse()
	if err := run(*cache, *nets, *pattern, *table, *python, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "modeltest:", err)
		os.Exit(1)
	}
}

func run(cache, nets, pattern, table, python string, verbose bool) error {
	only, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	r := &report{verbose: verbose, groups: map[string]*group{}}
	if dir, err := fetch(cache, conformance); err != nil {
		fmt.Println("SKIP: ONNX's conformance tests:", err)
	} else if err := runCases(dir, only, r); err != nil {
		return err
	}
	if err := runtime(python); err != nil {
		fmt.Println("SKIP: comparison with ONNX Runtime:", err)
		python = ""
	}
	for _, p := range published {
		dir, err := fetch(cache, p.name)
		if err != nil {
			fmt.Printf("SKIP: %s: %v\n", p.name, err)
			continue
		}
		p.load(dir, python, only, r)
	}
	if nets != "" {
		loadNets(nets, python, only, r)
	}
	r.print(os.Stdout)
	if table != "" {
		if err := r.writeTable(table); err != nil {
			return err
		}
	}
	if n := r.wrong(); n > 0 {
		return fmt.Errorf("%d results are wrong", n)
	}
	return nil
}
