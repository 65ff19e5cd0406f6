package binaries

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// fetches answers Fetch.
type fetches func(*wire.FetchRequest, grpc.ServerStreamingServer[wire.Chunk]) error

func (f fetches) Fetch(req *wire.FetchRequest, s grpc.ServerStreamingServer[wire.Chunk]) error {
	return f(req, s)
}

func (fetches) Replicate(context.Context, *wire.ReplicateRequest) (*wire.ReplicateAnswer, error) {
	return nil, wire.ErrInvalid
}

// serve returns a source that answers with f.
func serve(t testing.TB, name string, f fetches) Source {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	security := security.Security{}.WithToken(security.NewToken())
	server := rpc.NewServer(security)
	wire.RegisterBinaries(server, f)
	var work sync.WaitGroup
	work.Go(func() { _ = server.Serve(l) })
	cc, err := rpc.Dial(l.Addr().String(), security)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cc.Close()
		server.Stop()
		work.Wait()
	})
	return Source{Name: name, Client: wire.BinariesClient{CC: cc}}
}

// program returns random bytes, those of a seed.
func program(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func openBoth(t testing.TB) (from, to *Store) {
	t.Helper()
	from, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if to, err = OpenCache(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return from, to
}

// A program comes whole whatever some of the sources do, and every byte of it is
// sent once where that is possible.
func TestFetchFrom(t *testing.T) {
	content := program(1, 3*wire.ChunkSize+17)
	digest, size := sha(content), int64(len(content))
	from, to := openBoth(t)
	put(t, from, content)
	var sent atomic.Int64
	chunks := func(b []byte, req *wire.FetchRequest, s grpc.ServerStreamingServer[wire.Chunk], most int) error {
		b = b[req.Offset:]
		for len(b) > 0 && most > 0 {
			n := min(len(b), wire.ChunkSize)
			sent.Add(int64(n))
			if err := s.Send(&wire.Chunk{Data: b[:n]}); err != nil {
				return err
			}
			b, most = b[n:], most-1
		}
		if most == 0 {
			return errors.New("the disk broke")
		}
		return nil
	}
	good := serve(t, "good", func(req *wire.FetchRequest, s grpc.ServerStreamingServer[wire.Chunk]) error {
		sent.Add(size - req.Offset)
		return from.Fetch(req, s)
	})
	breaks := serve(t, "breaks", func(req *wire.FetchRequest, s grpc.ServerStreamingServer[wire.Chunk]) error {
		return chunks(content, req, s, 1)
	})
	wrong := serve(t, "wrong", func(req *wire.FetchRequest, s grpc.ServerStreamingServer[wire.Chunk]) error {
		return chunks(program(2, len(content)), req, s, 99)
	})
	long := serve(t, "long", func(req *wire.FetchRequest, s grpc.ServerStreamingServer[wire.Chunk]) error {
		return chunks(program(1, len(content)+wire.ChunkSize), req, s, 99)
	})
	short := serve(t, "short", func(req *wire.FetchRequest, s grpc.ServerStreamingServer[wire.Chunk]) error {
		return chunks(content[:size-5], req, s, 99)
	})
	missing := serve(t, "missing", func(*wire.FetchRequest, grpc.ServerStreamingServer[wire.Chunk]) error {
		return wire.ErrNoBinary
	})
	tests := []struct {
		name    string
		sources []Source
		want    error // nil: it comes
		sent    int64 // -1: more than once
	}{
		{"one source", []Source{good}, nil, size},
		{"the first hasn't it", []Source{missing, good}, nil, size},
		{"nobody has it", []Source{missing, missing}, wire.ErrNoBinary, 0},
		{"nobody to ask", nil, wire.ErrNoBinary, 0},
		{"piece by piece", []Source{breaks, breaks, breaks, good}, nil, size},
		{"the end is missing", []Source{short, good}, nil, -1},
		{"only another program", []Source{wrong}, wire.ErrBinary, -1},
		{"another program first", []Source{wrong, good}, nil, -1},
		{"more than was announced", []Source{long, good}, nil, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sent.Store(0)
			err := to.FetchFrom(t.Context(), digest, size, tt.sources...)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || to.Has(digest) != (err == nil) {
				t.Fatalf("got %v, want %v; there is %t", err, tt.want, to.Has(digest))
			}
			if tt.sent >= 0 && sent.Load() != tt.sent {
				t.Errorf("%d bytes were sent, want %d", sent.Load(), tt.sent)
			}
			if err := to.Sweep(nil, 0); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What came before a failure, or before this process, isn't sent again.
func TestFetchResumes(t *testing.T) {
	content := program(3, 2*wire.ChunkSize)
	digest, size := sha(content), int64(len(content))
	from, to := openBoth(t)
	put(t, from, content)
	var offset atomic.Int64
	source := serve(t, "source", func(req *wire.FetchRequest, s grpc.ServerStreamingServer[wire.Chunk]) error {
		offset.Store(req.Offset)
		return from.Fetch(req, s)
	})
	for _, part := range [][]byte{content[:100], content, program(4, 50), append(content, 1)} {
		if err := os.WriteFile(to.Path(digest)+partSuffix, part, 0o600); err != nil {
			t.Fatal(err)
		}
		offset.Store(-1)
		if err := to.FetchFrom(t.Context(), digest, size, source, source); err != nil || !to.Has(digest) {
			t.Fatal(err)
		}
		want := map[int]int64{100: 100, len(content): -1, 50: 0, len(content) + 1: 0}[len(part)]
		if offset.Load() != want {
			t.Errorf("after %d bytes it was asked from %d, want %d", len(part), offset.Load(), want)
		}
		if err := os.Remove(to.Path(digest)); err != nil {
			t.Fatal(err)
		}
		to.verified = make(map[string]bool)
	}
}

// Those who fetch the same program at the same time fetch it once.
func TestFetchOnce(t *testing.T) {
	content := program(5, 10)
	from, to := openBoth(t)
	digest := put(t, from, content)
	var asked atomic.Int64
	source := serve(t, "source", func(req *wire.FetchRequest, s grpc.ServerStreamingServer[wire.Chunk]) error {
		asked.Add(1)
		return from.Fetch(req, s)
	})
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			if err := to.FetchFrom(t.Context(), digest, 10, source); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if asked.Load() != 1 {
		t.Errorf("it was fetched %d times", asked.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	release, err := to.acquire(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := to.FetchFrom(ctx, digest, 10, source); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for another fetch: %v", err)
	}
	release()
}

func TestFetchServesWhatIsAskedFor(t *testing.T) {
	from, _ := openBoth(t)
	digest := put(t, from, []byte("0123456789"))
	source := serve(t, "source", from.Fetch)
	tests := []struct {
		digest string
		offset int64
		data   string
		want   error
	}{
		{digest, 0, "0123456789", nil},
		{digest, 7, "789", nil},
		{digest, 10, "", nil},
		{digest, 11, "", wire.ErrInvalid},
		{digest, -1, "", wire.ErrInvalid},
		{sha(nil), 0, "", wire.ErrNoBinary},
		{"../" + digest, 0, "", wire.ErrInvalid},
	}
	for _, tt := range tests {
		stream, err := source.Client.Fetch(t.Context(), &wire.FetchRequest{Binary: tt.digest, Offset: tt.offset})
		var got strings.Builder
		for err == nil {
			var c *wire.Chunk
			if c, err = stream.Recv(); err == nil {
				got.Write(c.Data)
			}
		}
		if got.String() != tt.data || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%.8s from %d: %q, %v", tt.digest, tt.offset, got.String(), err)
		}
	}
}

// A full disk isn't a source's fault, so that no other is asked.
func TestFetchOntoAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	defer full.Close()
	content := program(6, 100)
	from, to := openBoth(t)
	digest := put(t, from, content)
	w := &Writer{store: to, f: full, digest: digest, size: 100, sum: sha256.New()}
	err = w.receive(t.Context(), serve(t, "source", from.Fetch).Client)
	if !errors.Is(err, errDisk) || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkFetch(b *testing.B) {
	content := program(7, 50<<20)
	from, to := openBoth(b)
	digest := sha(content)
	if err := os.WriteFile(from.Path(digest), content, 0o700); err != nil {
		b.Fatal(err)
	}
	source := serve(b, "source", from.Fetch)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if err := to.FetchFrom(b.Context(), digest, int64(len(content)), source); err != nil {
			b.Fatal(err)
		}
		if err := os.Remove(to.Path(digest)); err != nil {
			b.Fatal(err)
		}
		to.verified = make(map[string]bool)
	}
}
