package remote

import (
	"fmt"
	"testing"
)

// The program can be built nowhere once all that could have a process have refused, often
// enough, and none has built it.
func TestNobodyCanBuild(t *testing.T) {
	for _, x := range []struct {
		name           string
		expected, able int
		ready          int
		refuse         []string
		want           string
	}{
		{"the only one", 1, 0, 0, []string{"a", "a", "a"}, "[false false true]"},
		{"each of three", 3, 3, 0, []string{"a", "b", "c"}, "[false false true]"},
		{"one more may come", 2, 2, 0, []string{"a", "a", "a", "b"}, "[false false false true]"},
		{"a limit of slots leaves another", 1, 4, 0, []string{"a", "b", "c", "d"}, "[false false false true]"},
		{"a limit, and one runs it", 1, 2, 1, []string{"a", "b", "a", "a"}, "[false false false false]"},
		{"they are drained, and one runs it", 1, 1, 1, []string{"a", "b", "c"}, "[false false false]"},
	} {
		a := newAttendance()
		a.expect(x.expected, x.able)
		for range x.ready {
			a.accept("runs")
		}
		var got []bool
		for _, id := range x.refuse {
			hopeless, _ := a.refuse(id, "no such device")
			got = append(got, hopeless)
		}
		if fmt.Sprint(got) != x.want {
			t.Errorf("%s: %v, want %s", x.name, got, x.want)
		}
	}
}

// One that has built the program counts until it is gone.
func TestBuilderLeaves(t *testing.T) {
	a := newAttendance()
	a.expect(1, 1)
	a.accept("runs")
	for range maxRefusals {
		if hopeless, _ := a.refuse("a", "no such device"); hopeless {
			t.Error("the job is given up while it runs")
		}
	}
	a.leave()
	if hopeless, ids := a.refuse("a", "no such device"); !hopeless || fmt.Sprint(ids) != "[a]" {
		t.Errorf("%v, %v", hopeless, ids)
	}
}
