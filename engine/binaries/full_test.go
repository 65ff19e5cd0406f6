package binaries

import (
	"errors"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/engine/disk/disktest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// empty checks that nothing lies in a store.
func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if info, err := e.Info(); err != nil || info.Size() > 0 {
			t.Errorf("%s of %d bytes is left, %v", e.Name(), info.Size(), err)
		}
	}
}

// A program that is sent and doesn't fit is refused and dropped.
func TestUploadOnFullDisk(t *testing.T) {
	content := program(1, 3<<20)
	dir, grow := disktest.Small(t, "2m")
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	store := func() error {
		w, err := s.Create(sha(content), int64(len(content)))
		if err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			w.Abort()
			return err
		}
		return w.Commit()
	}
	if err := store(); !disk.Full(err) || !strings.Contains(err.Error(), dir) {
		t.Errorf("it says: %v", err)
	}
	empty(t, dir)
	grow("8m")
	if err := store(); err != nil || !s.Has(sha(content)) {
		t.Errorf("when there is room: %v", err)
	}
}

// A program that is fetched and doesn't fit isn't even begun; if others take the
// room meanwhile, what came is dropped.
func TestFetchOnFullDisk(t *testing.T) {
	content := program(1, 3<<20)
	from, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put(t, from, content)
	for name, tt := range map[string]struct {
		size    string
		ballast int // written by somebody else when the source is asked
		asked   int
		want    error
	}{
		"too small":        {"2m", 0, 0, wire.ErrTooLarge},
		"filled meanwhile": {"4m", 2 << 20, 1, errDisk},
	} {
		t.Run(name, func(t *testing.T) {
			dir, grow := disktest.Small(t, tt.size)
			to, err := OpenCache(dir)
			if err != nil {
				t.Fatal(err)
			}
			asked := 0
			source := serve(t, "driver", func(req *wire.FetchRequest, s grpc.ServerStreamingServer[wire.Chunk]) error {
				if asked++; tt.ballast > 0 {
					if err := os.WriteFile(to.Path("ballast"), make([]byte, tt.ballast), 0o600); err != nil {
						return err
					}
				}
				return from.Fetch(req, s)
			})
			err = to.FetchFrom(t.Context(), sha(content), int64(len(content)), source, source)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), dir) || asked != tt.asked {
				t.Errorf("asked %d times, it says: %v", asked, err)
			}
			_ = os.Remove(to.Path("ballast"))
			empty(t, dir)
			tt.ballast = 0
			grow("8m")
			if err := to.FetchFrom(t.Context(), sha(content), int64(len(content)), source); err != nil || !to.Has(sha(content)) {
				t.Errorf("when there is room: %v", err)
			}
		})
	}
}
