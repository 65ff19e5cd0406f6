package control

import (
	"context"

	"github.com/hibana-engine/hibana/engine/wire"
)

// driverService is what the other drivers ask.
type driverService struct {
	n    *node
	lead *lead
}

// Replace implements wire.DriversServer.
func (d *driverService) Replace(_ context.Context, req *wire.ReplaceRequest) (*wire.ReplaceAnswer, error) {
	if _, err := d.lead.current(); err != nil {
		return nil, err
	}
	return &wire.ReplaceAnswer{}, d.n.ReplaceDirectory(req.Node, req.Copy)
}
