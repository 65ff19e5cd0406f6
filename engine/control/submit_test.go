package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/wire"
)

// oldProgram puts a file into a server's store that nobody has used for long, and
// returns its digest. It is no program, so that nothing runs it.
func oldProgram(t *testing.T, s *server, content string) (digest string) {
	t.Helper()
	sum := sha256.Sum256([]byte(content))
	digest = hex.EncodeToString(sum[:])
	w, err := s.files.programs.Create(digest, int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * unusedAge)
	if err := errors.Join(w.Commit(), os.Chtimes(s.files.programs.Path(digest), old, old)); err != nil {
		t.Fatal(err)
	}
	return digest
}

// A program that a submission counts on isn't swept before the job is recorded.
func TestSubmissionKeepsItsProgram(t *testing.T) {
	s := newServersOf(t, "a")
	one := s.all[s.leading(-1)]
	digest, unused := oldProgram(t, one, "abc"), oldProgram(t, one, "def")
	cc, err := rpc.Dial(one.GRPC().Addr().String(), one.security)
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	stream, err := wire.ControlClient{CC: cc}.Submit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&wire.SubmitPart{Begin: &wire.SubmitBegin{Submission: "s", Name: "n", Binary: digest, Size: 3}}); err != nil {
		t.Fatal(err)
	}
	if a, err := stream.Recv(); err != nil || a.Need {
		t.Fatalf("the answer is %+v, %v", a, err)
	}
	if err := sweep(one.node); err != nil {
		t.Fatal(err)
	}
	if one.files.programs.Has(unused) {
		t.Error("what nobody asked for is still there")
	}
	if err := stream.Send(&wire.SubmitPart{Commit: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, wire.ErrBinary) { // it was found, and is no program
		t.Errorf("at the commit: %v", err)
	}
}

// A driver that is asked to keep a program that it has doesn't sweep it.
func TestReplicaIsKept(t *testing.T) {
	s := newServersOf(t, "a", "b", "c")
	s.leading(-1)
	follower := s.all[1]
	digest := oldProgram(t, follower, "abc")
	if _, err := (&binaryService{follower.programs}).Replicate(t.Context(), &wire.ReplicateRequest{Binary: digest, Size: 3, Node: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := sweep(follower.node); err != nil || !follower.files.programs.Has(digest) {
		t.Errorf("it is gone: %v", err)
	}
}

// A job that may have no slot is refused.
func TestMaxSlotsIsChecked(t *testing.T) {
	b := &wire.SubmitBegin{Submission: "s", Name: "x", Binary: strings.Repeat("a", 64), Size: 1, MaxSlots: -1}
	if err := checkSubmission(b); !errors.Is(err, wire.ErrInvalid) || !strings.Contains(err.Error(), "at least one") {
		t.Error(err)
	}
}

// A submission whose id clients couldn't name afterwards makes no job.
func TestSubmissionIDIsChecked(t *testing.T) {
	for id, want := range map[string]error{
		"nightly-1": nil, "0x": nil, strings.Repeat("x", 64): nil,
		"": wire.ErrInvalid, "17": wire.ErrInvalid, "-detach": wire.ErrInvalid, "a:b": wire.ErrInvalid, strings.Repeat("x", 65): wire.ErrInvalid,
	} {
		b := &wire.SubmitBegin{Submission: id, Name: "x", Binary: strings.Repeat("a", 64), Size: 1}
		if err := checkSubmission(b); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("id %q: %v", id, err)
		}
	}
}
