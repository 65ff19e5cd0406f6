package control

import (
	"context"

	"github.com/hibana-engine/hibana/engine/wire"
)

// driverService is what the other drivers ask.
type driverService struct{ s *server }

var _ wire.DriversServer = (*driverService)(nil)

// Replace implements wire.DriversServer.
func (d *driverService) Replace(_ context.Context, req *wire.ReplaceRequest) (*wire.ReplaceAnswer, error) {
	if _, err := d.s.current(); err != nil {
		return nil, err
	}
	return &wire.ReplaceAnswer{}, d.s.ReplaceDirectory(req.Node, req.Copy)
}
