package enginetest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/internal/faults"
	"github.com/hibana-engine/hibana/engine/remote"
)

// What happens to an executor process while it computes. A program's number says which of
// these it brings about, at the first element that asks for it.
const (
	killed    = "killed"       // the process
	cut       = "disconnected" // all its connections
	delayed   = "delayed"      // what it sends
	corrupted = "corrupted"    // a shuffle block that it sends
	full      = "full"         // its disk, for the next file of blocks
	damaged   = "damaged"      // a file of blocks, of any executor
)

// kinds are the faults, by the number of a program modulo faultEvery.
var kinds = [...]string{killed, full, corrupted, damaged, delayed, cut}

const faultEvery = len(kinds)

// disturber brings faults about.
type disturber struct {
	marks once
	disk  string // where executors keep what doesn't stay in memory

	mu    sync.Mutex
	rng   *rand.Rand
	armed map[string]*fault // that wait for what they happen to
}

// fault waits for what it happens to.
type fault struct {
	program uint64
	left    int // how often it is to happen in this process
}

func newDisturber(t *testing.T, seed uint64) *disturber {
	t.Helper()
	d := &disturber{marks: newOnce(t), rng: rand.New(rand.NewPCG(seed, uint64(os.Getpid()))), armed: make(map[string]*fault)}
	d.disk = filepath.Join(d.marks.dir, "disk")
	if err := os.MkdirAll(d.disk, 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

// faults are those that happen outside of tasks. Memory is short, in every second process
// so much that all goes to disk: what is there doesn't come with a map task's end.
func (d *disturber) faults() faults.Faults {
	f := faults.Faults{Streams: d.stream, Open: d.open, Memory: 48 << 10}
	process := 0
	for !d.marks.first(fmt.Sprintf("process-%d", process)) {
		process++
	}
	if process%2 == 0 {
		f.Memory = 1
	}
	return f
}

// strike is called in a task of the program with the given number, at an element.
func (d *disturber) strike(program uint64) {
	switch kind := kinds[program%uint64(faultEvery)]; kind {
	case killed:
		if d.first(kind, program) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	case cut:
		if d.first(kind, program) {
			disconnect()
		}
	case damaged:
		d.damage(program)
	case delayed:
		d.arm(kind, program, 30)
	default:
		d.arm(kind, program, 1)
	}
}

func (d *disturber) first(kind string, program uint64) bool {
	return d.marks.first(fmt.Sprintf("%s-%d", kind, program))
}

// arm lets a fault of a program happen in this process from now on, a number of times.
func (d *disturber) arm(kind string, program uint64, times int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.armed[kind]; f == nil || f.program != program {
		d.armed[kind] = &fault{program, times}
	}
}

// happens reports whether a fault happens now, and notes it. The last time of a program's
// is in one process only.
func (d *disturber) happens(kind string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.armed[kind]
	if f == nil || f.left == 0 {
		return false
	}
	f.left--
	return d.first(kind, f.program) || f.left > 0
}

// below returns a random number below n.
func (d *disturber) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

// stream disturbs what is sent on a stream.
func (d *disturber) stream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(srv, disturbedStream{ss, d})
}

// disturbedStream delays messages and flips bits of shuffle blocks.
type disturbedStream struct {
	grpc.ServerStream
	d *disturber
}

func (s disturbedStream) SendMsg(m any) error {
	if s.d.happens(delayed) {
		select {
		case <-time.After(time.Duration(1+s.d.below(20)) * time.Millisecond):
		case <-s.Context().Done():
		}
	}
	if b, is := m.(*remote.Block); is && len(b.Data) > 0 && s.d.happens(corrupted) {
		flipped := *b // what is kept stays whole
		flipped.Data = slices.Clone(b.Data)
		flipped.Data[s.d.below(len(b.Data))] ^= 1 << s.d.below(8)
		m = &flipped
	}
	return s.ServerStream.SendMsg(m)
}

// open opens a file of blocks, which may be on a disk without room.
func (d *disturber) open(path string, flag int, perm os.FileMode) (*os.File, error) {
	if d.happens(full) {
		return os.OpenFile("/dev/full", os.O_WRONLY, 0)
	}
	return os.OpenFile(path, flag, perm)
}

// disconnect shuts all TCP connections of the process down.
func disconnect() {
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		n, err := strconv.Atoi(fd.Name())
		if err != nil {
			continue
		}
		peer, err := syscall.Getpeername(n)
		if _, tcp := peer.(*syscall.SockaddrInet4); err == nil && tcp {
			_ = syscall.Shutdown(n, syscall.SHUT_RDWR)
		}
	}
}

// damage changes the last byte of the first file of blocks that it finds.
func (d *disturber) damage(program uint64) {
	files, _ := filepath.Glob(filepath.Join(d.disk, "*", "*"))
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil || info.Size() == 0 {
			continue
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if d.first(damaged, program) {
			var b [1]byte
			_, err = file.ReadAt(b[:], info.Size()-1)
			if b[0] ^= 0xff; err == nil {
				_, _ = file.WriteAt(b[:], info.Size()-1)
			}
		}
		_ = file.Close()
		return
	}
}

// count returns how many faults of a kind there were.
func (d *disturber) count(t *testing.T, kind string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(d.marks.dir, kind+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}
