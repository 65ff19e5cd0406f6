package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/wire"
)

// replicateWait is how long a majority may take to have a binary.
const replicateWait = time.Minute

// programs are the programs of jobs that are here, and the way to those that other
// drivers have.
type programs struct {
	*binaries.Store
	room  *raftgroup.Reserve
	group *raftgroup.Node
	conns *rpc.Cluster    // connections to the other drivers
	work  *sync.WaitGroup // copies that are being sent
}

// fetch makes sure that a job's program is here.
func (p *programs) fetch(ctx context.Context, spec wire.JobSpec) error {
	if p.Has(spec.Binary) {
		return nil
	}
	return p.fetchFrom(ctx, spec.Binary, spec.Size, p.group.Others()...)
}

// fetchFrom gets a program from other drivers, unless it is here; then it is kept for
// who asks for it.
func (p *programs) fetchFrom(ctx context.Context, digest string, size int64, nodes ...string) error {
	if p.Use(digest) {
		return nil
	}
	release, err := p.room.Claim(size)
	if err != nil {
		return fmt.Errorf("taking the binary: %w", err)
	}
	defer release()
	var sources []binaries.Source
	for _, id := range nodes {
		cc, err := p.conns.Conn(p.group.Peers()[id])
		if err != nil {
			return err
		}
		sources = append(sources, binaries.Source{Name: p.group.Peers()[id], Client: wire.BinariesClient{CC: cc}})
	}
	return p.FetchFrom(ctx, digest, size, sources...)
}

// replicate makes the other drivers keep a program that is here and returns when
// a majority has it on disk: whoever leads next finds it then.
func (p *programs) replicate(ctx context.Context, digest string, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, replicateWait)
	defer cancel() // what isn't there yet fetches it later, see keepHouse
	others := p.group.Others()
	type answer struct {
		driver string
		err    error
	}
	answers := make(chan answer, len(others)) // has room for all of them
	for _, id := range others {
		p.work.Go(func() { answers <- answer{id, p.sendTo(ctx, id, digest, size)} })
	}
	have, need := 1, len(p.group.Peers())/2+1
	var errs []error
	for i := 0; have < need && i < len(others); i++ {
		if a := <-answers; a.err != nil {
			errs = append(errs, fmt.Errorf("driver %s: %w", a.driver, a.err))
		} else {
			have++
		}
	}
	if have < need {
		return fmt.Errorf("%w: %d of %d drivers have the binary, %d must: %w",
			wire.ErrNotReady, have, len(p.group.Peers()), need, errors.Join(errs...))
	}
	return nil
}

// sendTo makes another driver keep a program.
func (p *programs) sendTo(ctx context.Context, driver, digest string, size int64) error {
	cc, err := p.conns.Conn(p.group.Peers()[driver])
	if err != nil {
		return err
	}
	_, err = wire.BinariesClient{CC: cc}.Replicate(ctx, &wire.ReplicateRequest{Binary: digest, Size: size, Node: p.group.ID()})
	return err
}

// check makes sure that a binary that is here can be run here.
func (p *programs) check(digest string, size int64) (platform string, err error) {
	path := p.Path(digest)
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", wire.ErrNoBinary, err)
	}
	if info.Size() != size {
		return "", fmt.Errorf("%w: it has %d bytes, not %d as announced", wire.ErrBinary, info.Size(), size)
	}
	if platform, err = binaries.PlatformOfFile(path); err != nil {
		return "", err
	}
	if here := binaries.ThisPlatform(); platform != here {
		return "", fmt.Errorf("%w: it is for %s, the engine-drivers run on %s; build it with GOOS and GOARCH set to that",
			wire.ErrBinary, platform, here)
	}
	return platform, nil
}

// binaryService gives out programs and keeps copies of them.
type binaryService struct{ programs *programs }

// Fetch implements wire.BinariesServer.
func (b *binaryService) Fetch(req *wire.FetchRequest, stream grpc.ServerStreamingServer[wire.Chunk]) error {
	return b.programs.Fetch(req, stream)
}

// Replicate implements wire.BinariesServer.
func (b *binaryService) Replicate(ctx context.Context, req *wire.ReplicateRequest) (*wire.ReplicateAnswer, error) {
	if b.programs.group.Peers()[req.Node] == "" || req.Node == b.programs.group.ID() {
		return nil, fmt.Errorf("%w: driver %q can't be asked for the binary", wire.ErrInvalid, req.Node)
	}
	return &wire.ReplicateAnswer{}, b.programs.fetchFrom(ctx, req.Binary, req.Size, req.Node)
}
