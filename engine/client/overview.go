package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
)

// View is the cluster as one engine-driver sees it.
type View struct {
	Address string
	Status  *wire.ClusterStatus // nil if the driver doesn't answer
	Err     error               // why not
	Refused bool                // this process isn't let in, or takes that one for a stranger
}

// Overview asks all engine-drivers, those of Config.Master and those that they
// know of, who is there. It doesn't wait for a leader.
func (c *Client) Overview(ctx context.Context) []View {
	addresses := c.cluster.Addresses()
	views := c.views(ctx, addresses)
	var more []string
	for _, v := range views {
		if v.Status == nil {
			continue
		}
		for _, d := range v.Status.Drivers {
			if !slices.Contains(addresses, d.Address) && !slices.Contains(more, d.Address) {
				more = append(more, d.Address)
			}
		}
	}
	views = append(views, c.views(ctx, more)...)
	slices.SortFunc(views, func(a, b View) int { return strings.Compare(a.Address, b.Address) })
	return views
}

// views asks several drivers at once.
func (c *Client) views(ctx context.Context, addresses []string) []View {
	views := make([]View, len(addresses))
	var asking sync.WaitGroup
	for i, address := range addresses {
		asking.Go(func() {
			views[i] = View{Address: address}
			cc, err := c.cluster.Conn(address)
			if err == nil {
				call, cancel := withIdle(ctx, attempt)
				defer cancel()
				views[i].Status, err = wire.ControlClient{CC: cc}.Cluster(call.ctx)
				err = call.verdict(err)
			}
			views[i].Err, views[i].Refused = plain(err), refused(err)
		})
	}
	asking.Wait()
	return views
}

// leastAsked is how long drivers have at least to answer who is asked for a refusal.
const leastAsked = 200 * time.Millisecond

// refusal returns why waiting for a leader, who wasn't found because of err, can't
// help: some drivers of Config.Master and this process don't take each other for
// the same cluster's, and no other driver answers. It is nil if waiting may help.
// The error wraps [wire.ErrUnauthenticated]. It takes no longer than within.
func (c *Client) refusal(ctx context.Context, err error, within time.Duration) error {
	if !errors.Is(err, wire.ErrNoLeader) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, max(within, leastAsked))
	defer cancel()
	var said []string
	for _, v := range c.views(ctx, c.cluster.Addresses()) {
		switch {
		case v.Err == nil:
			return nil
		case v.Refused:
			said = append(said, v.Address+": "+v.Err.Error())
		}
	}
	if said == nil {
		return nil
	}
	return fmt.Errorf("%w:\n  %s", wire.ErrUnauthenticated, strings.Join(said, "\n  "))
}
