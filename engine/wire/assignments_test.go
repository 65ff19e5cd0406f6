package wire

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// sentLists is a stream that keeps what is sent, encoded.
type sentLists [][]byte

func (m *sentLists) Send(a *Assignments) error {
	b, err := Encode(a)
	if err == nil && len(b) > MaxMessage {
		err = ErrTooLarge
	}
	*m = append(*m, b)
	return err
}

func (m *sentLists) Recv() (*Assignments, error) {
	if len(*m) == 0 {
		return nil, io.EOF
	}
	a := new(Assignments)
	err := Decode((*m)[0], a)
	*m = (*m)[1:]
	return a, err
}

func TestAssignmentsOfAnyLength(t *testing.T) {
	const longest = 96 << 10 // of a command line
	for _, tt := range []struct{ jobs, messages int }{{0, 1}, {1, 1}, {64, 1}, {65, 2}, {128, 2}, {300, 5}} {
		t.Run(fmt.Sprint(tt.jobs, " jobs"), func(t *testing.T) {
			want := &Assignments{ClusterID: "c"}
			for i := range tt.jobs {
				want.Jobs = append(want.Jobs, Assignment{Spec: JobSpec{Incarnation: uint64(i + 1), Args: []string{strings.Repeat("x", longest)}}})
			}
			before := slices.Clone(want.Jobs)
			var m sentLists
			if err := SendAssignments(&m, want); err != nil || len(m) != tt.messages {
				t.Fatalf("%d messages, %v", len(m), err)
			}
			cut := slices.Clone(m)[:len(m)-1]
			if got, err := ReceiveAssignments(&m); err != nil || !reflect.DeepEqual(got, want) || !slices.EqualFunc(before, want.Jobs, func(a, b Assignment) bool { return reflect.DeepEqual(a, b) }) {
				t.Errorf("%d jobs of cluster %q, %v", len(got.Jobs), got.ClusterID, err)
			}
			if _, err := ReceiveAssignments(&cut); !errors.Is(err, io.EOF) {
				t.Errorf("without its last message: %v", err)
			}
		})
	}
}

func TestClip(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"short", "short"},
		{strings.Repeat("x", 20), strings.Repeat("x", 20)},
		{strings.Repeat("x", 21), strings.Repeat("x", 10) + cutMark},
		{strings.Repeat("x", 8) + strings.Repeat("火", 9), strings.Repeat("x", 8) + cutMark},
		{"bad \xff byte", "bad ? byte"},
	} {
		if got := Clip(tt.in, 20); got != tt.want || len(got) > 20 || Clip(got, 20) != got {
			t.Errorf("%q becomes %q, want %q", tt.in, got, tt.want)
		}
	}
}
