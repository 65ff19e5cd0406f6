package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// failing is a Binaries service whose calls fail.
type failing struct{ err error }

func (f failing) Fetch(_ *FetchRequest, s grpc.ServerStreamingServer[Chunk]) error {
	if err := s.Send(&Chunk{Data: []byte("before")}); err != nil {
		return err
	}
	return f.err
}

func (f failing) Replicate(context.Context, *ReplicateRequest) (*ReplicateAnswer, error) {
	return nil, f.err
}

// connected returns a connection to a server that offers a Binaries service, until
// the test ends.
func connected(t *testing.T, b BinariesServer) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(ServerOptions()...)
	RegisterBinaries(server, b)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	cc, err := grpc.NewClient("passthrough:///"+l.Addr().String(), append(DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close(); server.Stop(); <-done })
	return cc
}

// Errors keep what they are and what they say, from unary calls and streams.
func TestErrorsKeepTheirIdentity(t *testing.T) {
	f := &failing{}
	cc := connected(t, f)
	for _, k := range errorKinds() {
		f.err = fmt.Errorf("doing things: %w: batch 7 ✗", k.err)
		_, unary := BinariesClient{cc}.Replicate(t.Context(), &ReplicateRequest{})
		stream, err := BinariesClient{cc}.Fetch(t.Context(), &FetchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatalf("%s: what came before: %v", k.name, err)
		}
		_, streamed := stream.Recv()
		for how, err := range map[string]error{"unary": unary, "stream": streamed} {
			if !errors.Is(err, k.err) {
				t.Errorf("%s, %s: %v", k.name, how, err)
			}
			if k.err != ErrNotLeader && err.Error() != f.err.Error() {
				t.Errorf("%s, %s says %q", k.name, how, err)
			}
			for _, other := range errorKinds() {
				if other.err != k.err && errors.Is(err, other.err) {
					t.Errorf("%s, %s is %s too", k.name, how, other.name)
				}
			}
		}
	}
}

func TestOtherErrors(t *testing.T) {
	f := &failing{}
	cc := connected(t, f)
	for _, c := range []struct {
		err  error
		code codes.Code
		says string
	}{
		{errors.New("disk is full"), codes.Internal, "disk is full"},
		{fmt.Errorf("waiting: %w", context.DeadlineExceeded), codes.DeadlineExceeded, "waiting"},
		{fmt.Errorf("waiting: %w", context.Canceled), codes.Canceled, "waiting"},
		{status.Error(codes.DataLoss, "lost"), codes.DataLoss, "lost"},
		{errors.New(strings.Repeat("long ", 10_000)), codes.Internal, "… (cut)"},
		{errors.New("no text \xff\xfe"), codes.Internal, "no text ?"},
	} {
		f.err = c.err
		_, err := BinariesClient{cc}.Replicate(t.Context(), &ReplicateRequest{})
		if status.Code(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v came as %v", c.err, err)
		}
	}
	f.err = &NotLeaderError{Leader: "127.0.0.1:7078"}
	_, err := BinariesClient{cc}.Replicate(t.Context(), &ReplicateRequest{})
	if nl, ok := errors.AsType[*NotLeaderError](err); !ok || nl.Leader != "127.0.0.1:7078" {
		t.Errorf("the leader is lost: %v", err)
	}
	f.err = nil
	stream, err := BinariesClient{cc}.Fetch(t.Context(), &FetchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("a stream that ends well ends with %v", err)
	}
}

func TestTransient(t *testing.T) {
	for err, want := range map[error]bool{
		&NotLeaderError{}: true, fmt.Errorf("x: %w", ErrNotReady): true, ErrUnknownOutcome: true, ErrNoLeader: true,
		status.Error(codes.Unavailable, "gone"): true,
		ErrStaleEpoch:                           false, ErrUnauthenticated: false, ErrInvalid: false,
		context.DeadlineExceeded: false, status.Error(codes.Internal, "bug"): false,
	} {
		if Transient(err) != want {
			t.Errorf("Transient(%v) is %t", err, !want)
		}
	}
}
