package main

import "testing"

// Executors' processes count the lines of the driver's file.
func TestLinesOnExecutors(t *testing.T) {
	t.Setenv(asProgram, "1")
	got, err := runWorkload(t, "lines", "--size", "1", "--rounds", "1", "--master", "local-cluster[2,1]")
	if err != nil {
		t.Fatal(err)
	}
	if r := got.(*linesResult); r.Lines != 10486 || r.Ratio <= 0 { // of 100 bytes, in 1 MiB
		t.Errorf("%+v", r)
	}
}
