package client

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/hibana-engine/hibana/engine/wire"
)

// View is the cluster as one engine-driver sees it.
type View struct {
	Address string
	Status  *wire.ClusterStatus // nil if the driver doesn't answer
	Err     error               // why not
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
			views[i].Err = plain(err)
		})
	}
	asking.Wait()
	return views
}
